"""What `metrics.json` holds: the figures of each slice with their intervals, and what changed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tfx  # noqa: F401 - first: it stands in for a part of tfx-bsl that TFMA imports and the wheels lack

# isort: split
from tensorflow_model_analysis.proto import config_pb2

from components.domain_evaluator.jackknife import Estimate, estimate
from components.domain_evaluator.measures import METRICS
from components.domain_evaluator.settings import EvaluationSettings
from components.domain_evaluator.sketch import GROUPS
from components.domain_evaluator.trial import SIGNATURE
from models.domain_metrics import over_domains
from schema.log_schema import LABEL, LogSchema

CANDIDATE, BASELINE = "candidate", "baseline"
OK, TOO_FEW = "ok", "too few"
OVER_DOMAINS = ("domain_auc", "mean_domain_auc", "major5_auc", "minor10_auc", "minor5_auc")
UNDEFINED = np.full(1 + GROUPS, np.nan)
Slices = Mapping[tuple, Mapping[str, np.ndarray]]  # of one model, see `read_replicates`


def eval_config(log: LogSchema, models: list[str], settings: EvaluationSettings) -> config_pb2.EvalConfig:
    """Return TFMA's config: which models and slices its files are of.

    Args:
        log: the log's schema. models: `candidate` and perhaps `baseline`. settings: name the crossings.
    """
    crossed = [[], [log.domain], *([log.domain, name] for name in settings.crossings)]
    config = config_pb2.EvalConfig(
        slicing_specs=[config_pb2.SlicingSpec(feature_keys=keys) for keys in crossed],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[config_pb2.MetricConfig(class_name=name) for name in METRICS], model_names=models
            )
        ],
    )
    for name in models:
        config.model_specs.add(
            name=name, label_key=LABEL, signature_name=SIGNATURE, is_baseline=name == BASELINE
        )
    return config


def figures(measured: Mapping[str, Slices], settings: EvaluationSettings) -> dict[str, Any]:
    """Return the figures of the candidate, of the baseline, and of what changed.

    Args:
        measured: by model and slice, see `read_replicates`. settings: when a slice has too few rows.

    Returns:
        Of the candidate, and under `baseline` of the baseline or None: `overall`, `domains` by name, and
        `crossings` by name, domain and value. Each slice has the metrics (None where undefined), `rows`,
        `positives`, `status`, and `intervals` by metric, `[low, high]`; all but crossings have the points of
        their calibration `curve` as rows, mean prediction and click rate; `overall` has the AUCs over
        domains, too, and `worst_domain`. Under `changes`, None without a baseline: candidate minus baseline
        for `overall` and `domains`, each metric's `value`, `error`, `df`, `low` and `high`, the rows being
        the same.
    """
    found = {name: _of_model(slices, settings) for name, slices in measured.items()}
    changes = changed(measured[CANDIDATE], measured[BASELINE], settings) if BASELINE in measured else None
    return {**found[CANDIDATE], "baseline": found.get(BASELINE), "changes": changes}


def changed(ours: Slices, theirs: Slices, settings: EvaluationSettings) -> dict[str, Any]:
    """Return the differences of two models on the same rows, for all rows and for each domain that both have.

    Args:
        ours, theirs: their slices. settings: see `figures`.
    """
    changes: dict[str, Any] = {"overall": {}, "domains": {}}
    for name in sorted(ours.keys() & theirs.keys()):
        if len(name) > 1:
            continue
        one, other = ours[name], theirs[name]
        present = one["rows"] > 0
        known = _metrics(one, settings)
        values = {
            metric: estimate(
                one[metric] - other[metric] if metric in known else UNDEFINED, present, settings.confidence
            )._asdict()
            for metric in METRICS
        }
        if name:
            changes["domains"][name[0][1]] = values
        else:
            pairs = [over_domains_of(slices, settings) for slices in (ours, theirs)]
            changes["overall"] = values | {
                metric: estimate(pairs[0][metric] - pairs[1][metric], present, settings.confidence)._asdict()
                for metric in OVER_DOMAINS
            }
    return changes


def over_domains_of(slices: Slices, settings: EvaluationSettings) -> dict[str, np.ndarray]:
    """Return the AUCs over domains, over all rows and without each group of users, `(1 + groups,)` each."""
    domains = {name[0][1]: one for name, one in slices.items() if len(name) == 1}
    judged = {name: one for name, one in domains.items() if "auc" in _metrics(one, settings)}
    found = []
    for i in range(1 + GROUPS):
        aucs = {n: {"auc": _known(one["auc"][i]), "rows": one["rows"].sum()} for n, one in judged.items()}
        found.append(over_domains(aucs))
    return {
        metric: np.array([np.nan if one[metric] is None else one[metric] for one in found])
        for metric in OVER_DOMAINS
    }


def _of_model(slices: Slices, settings: EvaluationSettings) -> dict[str, Any]:
    found: dict[str, Any] = {"overall": None, "domains": {}, "crossings": {}}
    for name, one in sorted(slices.items()):
        measured = _slice(one, settings)
        if len(name) == 2:
            (_, domain), (crossing, value) = name
            found["crossings"].setdefault(crossing, {}).setdefault(domain, {})[value] = measured
        elif name:
            found["domains"][name[0][1]] = measured | {"curve": _curve(one)}
        else:
            found["overall"] = measured | {"curve": _curve(one)}
    overall = found["overall"]
    present = slices[()]["rows"] > 0
    for metric, values in over_domains_of(slices, settings).items():
        _put(overall, metric, estimate(values, present, settings.confidence))
    aucs = {name: domain["auc"] for name, domain in found["domains"].items() if domain["auc"] is not None}
    overall["worst_domain"] = min(aucs, key=aucs.get) if aucs else None
    return found


def _slice(one: Mapping[str, np.ndarray], settings: EvaluationSettings) -> dict[str, Any]:
    known = _metrics(one, settings)
    rows, positives = int(one["rows"].sum()), int(one["positives"].sum())
    status = OK if "auc" in known else TOO_FEW
    figures: dict[str, Any] = {"rows": rows, "positives": positives, "status": status, "intervals": {}}
    for metric in METRICS:
        values = one[metric] if metric in known else UNDEFINED
        _put(figures, metric, estimate(values, one["rows"] > 0, settings.confidence))
    return figures


def _curve(one: Mapping[str, np.ndarray]) -> list[list[float]]:
    points = one["curve"].reshape(-1, 3)
    return points[points[:, 0] > 0].tolist()


def _metrics(one: Mapping[str, np.ndarray], settings: EvaluationSettings) -> set[str]:
    """Return the metrics that mean something in a slice: orderings need enough rows of both classes."""
    rows, positives = one["rows"].sum(), one["positives"].sum()
    enough = rows >= settings.min_rows and min(positives, rows - positives) >= settings.min_each_class
    return set(METRICS) if enough else {"logloss", "calibration", "ece"}


def _put(figures: dict[str, Any], metric: str, found: Estimate) -> None:
    figures[metric] = found.value
    if found.low is not None:
        figures["intervals"][metric] = [found.low, found.high]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
