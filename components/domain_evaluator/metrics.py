"""Which figures TFMA computes, and their form in `metrics.json`."""

import math
from typing import Any

import tfx  # noqa: F401 - first: it stands in for a part of tfx-bsl that TFMA imports and the wheels lack

# isort: split
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.domain_evaluator.settings import EvaluationSettings
from schema.log_schema import LABEL, LogSchema

CANDIDATE, BASELINE = "candidate", "baseline"
SIGNATURE = "serving_default"
OK, TOO_FEW = "ok", "too few"
METRICS = ("AUC", "BinaryCrossEntropy", "Calibration", "MeanLabel", "ExampleCount")


def eval_config(log: LogSchema, models: list[str]) -> config_pb2.EvalConfig:
    """Return TFMA's config: every metric of every model, over all rows and by domain.

    Args:
        log: the log's schema.
        models: names of the models, `candidate` and perhaps `baseline`.
    """
    config = config_pb2.EvalConfig(
        slicing_specs=[config_pb2.SlicingSpec(), config_pb2.SlicingSpec(feature_keys=[log.domain])],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[config_pb2.MetricConfig(class_name=name) for name in METRICS], model_names=models
            )
        ],
    )
    for name in models:
        config.model_specs.add(
            name=name,
            label_key=LABEL,
            signature_name=SIGNATURE,
            model_type="tf_generic",
            is_baseline=name == BASELINE,
        )
    return config


def figures(result: tfma.EvalResult, settings: EvaluationSettings) -> dict[str, Any]:
    """Return one model's figures.

    Args:
        result: what TFMA wrote of the model.
        settings: when a domain has too few rows.

    Returns:
        `overall` (with `mean_domain_auc` over the domains that have an AUC) and `domains` by name, each with
        `auc`, `logloss`, `calibration` (None where undefined), `rows`, `positives` and `status`.
    """
    overall, domains = None, {}
    for key, outputs in result.slicing_metrics:
        values = {}
        for keys in outputs.values():
            for sub_keys in keys.values():
                for name, value in sub_keys.items():
                    values[name] = value.get("doubleValue")
        measured = _slice_figures(values, settings)
        if key:
            domains[key[0][1]] = measured
        else:
            overall = measured
    aucs = [domain["auc"] for domain in domains.values() if domain["auc"] is not None]
    overall["mean_domain_auc"] = sum(aucs) / len(aucs) if aucs else None
    return {"overall": overall, "domains": dict(sorted(domains.items()))}


def _slice_figures(values: dict[str, float], settings: EvaluationSettings) -> dict[str, Any]:
    rows = round(values["example_count"])
    positives = round(values["mean_label"] * rows)
    enough = rows >= settings.min_rows and min(positives, rows - positives) >= settings.min_each_class
    return {
        # With one class only, TFMA's AUC is 0 and means nothing.
        "auc": _defined(values["auc"]) if enough else None,
        "logloss": _defined(values["binary_crossentropy"]),
        "calibration": _defined(values["calibration"]) if positives else None,
        "rows": rows,
        "positives": positives,
        "status": OK if enough else TOO_FEW,
    }


def _defined(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
