"""The figures of a finished run, gathered from its artifacts."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from components.domain_gate.settings import VERDICT_FILE
from components.pseudo_labeler.settings import CONFIDENCE_BINS, LABELS_FILE
from pipeline import config as configs
from pipeline import expert_masks
from pipeline.config import Config
from pipeline.run_folder import RunFolder, read_json

MODEL = "Format-Serving"  # where TFX keeps the model of a Model artifact
FIGURES = ("auc", "logloss", "calibration", "rows", "positives")


@dataclass(frozen=True)
class Results:
    """What came out of one run.

    Attributes:
        config: the config of the run.
        record: components with state, seconds, rows and artifacts (see pipeline/lineage.py).
        metrics: the model's and the baseline's figures (components/domain_evaluator).
        verdict: the gate's rules and whether the model is blessed (components/domain_gate).
        history: per epoch, what the trainer measured on the validation split.
        data_gate: warnings about the data (components/data_gate).
        warm_start: what the training began from (models/warm_start.py); None where it was not asked for.
        augmentation: `rows`, of how many `originals` (None of an older run), `target`, `reason`, and the
            tables `moves` and `domains` as lists of rows (components/counterfactual_augmenter), with the rows
            that a domain `gave` and `got`; None for a run without it.
        classifier: `quality` (components/domain_classifier/quality.py), its `warning`, the number of
            pseudo-labelled `rows` and whether they were `trained_on`, and `targets`: each domain that rows
            may go to with its `rows`, their mean `confidence` and `bins` of it; None for a run without one.
    """

    config: Config
    record: dict[str, Any]
    metrics: dict[str, Any]
    verdict: dict[str, Any]
    history: list[dict[str, Any]]
    data_gate: list[dict[str, Any]]
    warm_start: dict[str, Any] | None = None
    augmentation: dict[str, Any] | None = None
    classifier: dict[str, Any] | None = None

    @property
    def blessed(self) -> bool:
        """Whether the gate let the model pass."""
        return bool(self.verdict["blessed"])

    @property
    def forced(self) -> dict[str, str] | None:
        """Who pushed a model that was held back, why and when (pipeline/bless.py); None for nobody."""
        return self.verdict.get("forced")

    @property
    def refused(self) -> str | None:
        """Why ModelPusher did not push a blessed model, and nobody forced it since; None otherwise."""
        return None if self.forced else self._properties("ModelPusher", "pushed_model").get("refused")

    @property
    def pushed_to(self) -> str | None:
        """Folder of the pushed version; None when nothing was pushed."""
        if self.forced:
            return self.forced["folder"]
        pushed = self._properties("ModelPusher", "pushed_model")
        return pushed.get("pushed_destination") or None if pushed.get("pushed") else None

    @property
    def unjudged(self) -> list[str]:
        """Domains that were trained on and have no test row, most training rows first.

        No figure and no rule knows them. Of more than 1,000 domains in training, the largest are looked at
        (see `pipeline.data_summary.summarize`).
        """
        trained = (self.record.get("data") or {"domains": {}})["domains"]
        return [name for name in trained if name not in self.metrics["domains"]]

    @property
    def ingest(self) -> dict[str, Any]:
        """Rows, bad rows and reasons, as LogExampleGen counted them."""
        return self._properties("LogExampleGen", "examples")

    def _properties(self, component: str, output: str) -> dict[str, Any]:
        return self.record["components"][component]["outputs"][output]["properties"]

    def figures(self) -> dict[str, Any]:
        """Return the figures for machines, as `mdr report --json` prints them."""
        masks = expert_masks.read(self.history)
        return {
            "started": self.record["started"],
            "model": self.config.model.architecture,
            "blessed": self.blessed,
            "pushed_to": self.pushed_to,
            "refused": self.refused,
            "overall": self.metrics["overall"],
            "domains": self.metrics["domains"],
            "unjudged": self.unjudged,
            "baseline": self.metrics.get("baseline"),
            "verdict": self.verdict,
            "masks": masks and masks.figures(),
            "augmentation": self.augmentation,
            "classifier": self.classifier,
            "warm_start": self.warm_start,
            "components": {
                name: {key: component[key] for key in ("state", "seconds", "rows")}
                for name, component in self.record["components"].items()
            },
        }


def load_results(folder: RunFolder) -> Results:
    """Gather the figures of a finished run.

    Args:
        folder: the run's folder.

    Raises:
        ValueError: no run has finished there.
    """
    if not folder.record.is_file():
        raise ValueError(f"{folder.root} holds no finished run; start one with mdr run --out {folder.root}.")
    record = read_json(folder.record)

    def output(component: str, key: str) -> Path:
        return Path(record["components"][component]["outputs"][key]["uri"])

    history = read_json(output("Trainer", "model_run") / "history.json")
    return Results(
        config=configs.load(folder.config),
        record=record,
        metrics=read_json(output("DomainEvaluator", "evaluation") / "metrics.json"),
        verdict=read_json(output("DomainGate", "blessing") / VERDICT_FILE),
        history=history,
        data_gate=read_json(output("DataGate", "gate") / "gate.json"),
        warm_start=_warm_start(output("Trainer", "model_run") / "warm_start.json"),
        augmentation=_augmentation(record),
        classifier=_classifier(record, history),
    )


def _warm_start(file: Path) -> dict[str, Any] | None:
    return read_json(file) if file.is_file() else None


def _augmentation(record: dict[str, Any]) -> dict[str, Any] | None:
    component = record["components"].get("CounterfactualAugmenter")
    if component is None:
        return None
    output = component["outputs"]["moves"]
    moves, domains = (
        pq.read_table(Path(output["uri"]) / f"{name}.parquet").to_pylist() for name in ("moves", "domains")
    )
    gave, got = Counter(), Counter()
    for move in moves:
        gave[move["source"]] += move["rows"]
        got[move["target"]] += move["rows"]
    return {
        **{name: output["properties"][name] for name in ("rows", "target", "reason")},
        "originals": output["properties"].get("originals"),
        "moves": moves,
        "domains": [{**d, "gave": gave[d["domain"]], "got": got[d["domain"]]} for d in domains],
    }


def _classifier(record: dict[str, Any], history: list[dict[str, Any]]) -> dict[str, Any] | None:
    components = record["components"]
    if "PseudoLabeler" not in components:
        return None
    model = components["DomainClassifier"]["outputs"]["model"]
    folder, labels = Path(model["uri"]) / MODEL, components["PseudoLabeler"]["outputs"]["labels"]
    went = pq.read_table(Path(labels["uri"]) / LABELS_FILE).to_pylist()
    description = read_json(folder / "classifier.json")
    targets = []
    for index in description["classes"]:
        own = [row for row in went if row["target"] == index]
        rows, bins = sum(row["rows"] for row in own), [0] * CONFIDENCE_BINS
        for row in own:
            bins[row["bin"]] += row["rows"]
        confidence = sum(row["confidence"] for row in own) / rows if rows else None
        domain = description["spec"]["domains"][index]
        targets.append({"domain": domain, "rows": rows, "confidence": confidence, "bins": bins})
    return {
        "quality": read_json(folder / "quality.json"),
        "warning": model["properties"]["warning"],
        "rows": labels["properties"]["rows"],
        "trained_on": bool(history and history[-1].get("pseudo_rows")),
        "targets": targets,
    }
