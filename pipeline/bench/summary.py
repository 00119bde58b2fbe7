"""What the cells of a suite say together: mean and deviation over seeds, and a paired test."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_rel

from pipeline.bench.suite import Suite

FIGURES = ("auc", "mean_domain_auc", "domain_auc", "major5_auc", "minor10_auc", "minor5_auc", "logloss")
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
        rows.append(
            Row(
                model=model,
                learning=learning,
                seeds=len(group),
                figures={name: _spread([cell[name] for cell in group]) for name in FIGURES},
                costs={name: float(np.median([cell.get(name, 0) for cell in group])) for name in COSTS},
                domains=_domains(group),
                against=", ".join(other) if other else None,
                p=_paired(group, groups[other]) if other else None,
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


def _paired(group: list[dict], other: list[dict]) -> float | None:
    ours, theirs = ({cell["seed"]: cell[TESTED] for cell in cells} for cells in (group, other))
    seeds = sorted(ours.keys() & theirs.keys())
    pairs = np.array([(ours[seed], theirs[seed]) for seed in seeds if None not in (ours[seed], theirs[seed])])
    if len(pairs) < 2 or np.ptp(pairs[:, 0] - pairs[:, 1]) == 0:
        return None
    return float(ttest_rel(*pairs.T).pvalue)
