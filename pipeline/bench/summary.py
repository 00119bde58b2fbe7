"""What the cells of a suite say together: mean and deviation over seeds, and a paired test."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_rel

from pipeline.bench.suite import Suite

FIGURES = {  # and what tables call them
    "auc": "AUC",
    "mean_domain_auc": "mean domain AUC",
    "validation_auc": "the same, on validation rows",
    "domain_auc": "domain AUC, by rows",
    "major5_auc": "Major5",
    "minor10_auc": "Minor10",
    "minor5_auc": "Minor5",
    "logloss": "log loss",
}
COSTS = ("seconds", "search_seconds", "samples_per_s", "peak_mb", "parameters")
TESTED = "mean_domain_auc"


@dataclass(frozen=True)
class Row:
    """One model with its plug-ins under one learning method.

    Attributes:
        model: architecture and plug-ins, `mmoe+d3`. learning: the method.
        seeds: how many cells. figures: mean and deviation (None for one seed) by name; None where undefined.
        costs: medians by name. domains: mean AUC by domain, None where undefined.
        against: what it is tested against, None for the reference itself. p: of the paired t-test of the mean
            domain AUC over the seeds both have; None with fewer than two, or without a difference.
        rimp: relative improvement of the mean domain AUC over that of the reference, on the seeds both have,
            and of the AUC by domain as `domains_rimp`; None where undefined.
        published: figures of papers by source, each by figure or domain.
    """

    model: str
    learning: str
    seeds: int
    figures: dict[str, tuple[float, float | None] | None]
    costs: dict[str, float]
    domains: dict[str, float | None]
    against: str | None
    p: float | None
    rimp: float | None
    domains_rimp: dict[str, float | None]
    published: dict[str, dict[str, float]]

    @property
    def name(self) -> str:
        """Model and method in one."""
        return f"{self.model}, {self.learning}"


def summarize(cells: list[dict], suite: Suite) -> list[Row]:
    """Return one row per model and method, the best mean domain AUC first.

    Args:
        cells: results. suite: names the reference, and the published figures.
    """
    groups: dict[tuple[str, str], list[dict]] = {}
    for cell in sorted(cells, key=lambda cell: cell["seed"]):
        groups.setdefault(("+".join([cell["model"], *cell["plugins"]]), cell["learning"]), []).append(cell)
    rows = []
    for (model, learning), group in groups.items():
        other = reference((model, learning), groups, suite)
        pairs = _pairs(group, groups[other]) if other else []
        rows.append(
            Row(
                model=model,
                learning=learning,
                seeds=len(group),
                figures={name: _spread([cell.get(name) for cell in group]) for name in FIGURES},
                costs={name: float(np.median([cell.get(name, 0) for cell in group])) for name in COSTS},
                domains=_domains(group),
                against=", ".join(other) if other else None,
                p=_paired([(ours[TESTED], theirs[TESTED]) for ours, theirs in pairs]),
                rimp=_rimp([(ours[TESTED], theirs[TESTED]) for ours, theirs in pairs]),
                domains_rimp={
                    name: _rimp([tuple(cell["by_domain"][name]["auc"] for cell in pair) for pair in pairs])
                    for name in group[0]["by_domain"]
                },
                published={
                    published.source: published.figures[model]
                    for published in suite.published
                    if model in published.figures and learning == "joint"
                },
            )
        )
    return sorted(rows, key=lambda row: -(row.figures[TESTED] or (0.0,))[0])


def reference(key: tuple[str, str], groups, suite: Suite) -> tuple[str, str] | None:
    """Return what a model and method is tested against.

    A model against what the suite names for it; a method against joint training of the same model, a plug-in
    against the model without it, a model against the suite's reference.
    """
    model, learning = key
    for other in (
        (suite.against.get(model, ""), "joint"),
        (model, "joint"),
        (model.split("+")[0], learning),
        (suite.reference, learning),
    ):
        if other != key and other in groups:
            return other
    return None


def _domains(group: list[dict]) -> dict[str, float | None]:
    by_size = sorted(group[0]["by_domain"].items(), key=lambda item: -item[1]["rows"])
    means = {name: _spread([cell["by_domain"][name]["auc"] for cell in group]) for name, _ in by_size}
    return {name: mean and mean[0] for name, mean in means.items()}


def _spread(values: list[float | None]) -> tuple[float, float | None] | None:
    if None in values:
        return None
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def _pairs(group: list[dict], other: list[dict]) -> list[tuple[dict, dict]]:
    """Return the cells of two groups, seed by seed, where both have one."""
    theirs = {cell["seed"]: cell for cell in other}
    return [(cell, theirs[cell["seed"]]) for cell in group if cell["seed"] in theirs]


def _paired(pairs: list[tuple[float | None, float | None]]) -> float | None:
    known = np.array([pair for pair in pairs if None not in pair])
    if len(known) < 2 or np.ptp(known[:, 0] - known[:, 1]) == 0:
        return None
    return float(ttest_rel(*known.T).pvalue)


def _rimp(pairs: list[tuple[float | None, float | None]]) -> float | None:
    """Return AUC / (AUC of the other) - 1, of the means: "RImp" of SSCTL, Table 2."""
    known = np.array([pair for pair in pairs if None not in pair])
    return float(np.divide(*known.mean(axis=0)) - 1) if len(known) else None
