"""`mdr bench evaluate`: DomainEvaluator against TFMA's own metrics, on the same rows, side by side."""

import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tfx  # noqa: F401 - first: it stands in for a part of tfx-bsl that TFMA imports and the wheels lack
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console
from sklearn.metrics import roc_auc_score
from tfx.utils import path_utils

# isort: split
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx_bsl.tfxio import tf_example_record

from components.domain_evaluator.evaluate import evaluate, split_files
from components.domain_evaluator.rows import read_columns
from components.domain_evaluator.settings import EvaluationSettings
from components.domain_evaluator.trial import PROBABILITY, SIGNATURE
from pipeline.bench.machine import machine
from pipeline.config import BeamSettings, load
from pipeline.run import run as run_pipeline
from pipeline.run_folder import RunFolder
from schema.log_schema import LABEL, LogSchema
from schema.sample.write import write

STOCK = ("AUC", "BinaryCrossEntropy", "Calibration", "ExampleCount")
SAME = {"binary_crossentropy": "logloss", "calibration": "calibration"}  # TFMA's name, ours
SETTINGS = EvaluationSettings(min_rows=2, min_each_class=1)  # every slice with both classes


def run(rows: int, domains: int, repeat: int, console: Console) -> dict[str, Any]:
    """Measure both with a model of generated logs, whose test rows are gone over until there are enough.

    Args:
        rows: to evaluate at least. domains: of the logs. repeat: how often each is run, in turn.
        console: where the progress of the training is shown.

    Returns:
        `rows_per_s` and `stock_rows_per_s` (medians), their `ratio`, `max_difference` over all slices, of our
        AUC to scikit-learn's and of the other metrics that both have to TFMA's, `stock_auc_difference` of
        TFMA's AUC to scikit-learn's (it counts by 10,000 thresholds, coarse for a few rows), the `seconds`
        and `stock_seconds` of each run, `rows`, `domains`. GAUC, PR-AUC, ECE and the intervals are in our
        time alone.
    """
    with tempfile.TemporaryDirectory() as place:
        log, model, files = _trained(Path(place), domains, console)
        counted = sum(1 for _ in tf.data.TFRecordDataset(files, "GZIP"))
        exact, files = _exact_aucs(files, model, log), files * math.ceil(rows / counted)
        ours, stock = [], []
        for i in range(repeat):
            out = [str(Path(place) / f"{kind}-{i}") for kind in ("ours", "stock")]
            started = time.monotonic()
            figures = evaluate(_pipeline(), files, model, None, out[0], log, SETTINGS)
            between = time.monotonic()
            _stock(files, model, out[1], log)
            ours.append(between - started)
            stock.append(time.monotonic() - between)
        difference, stock_difference = _differences(figures, tfma.load_eval_result(out[1]), exact)
    rows = counted * (len(files) // len(set(files)))
    seconds, stock_seconds = statistics.median(ours), statistics.median(stock)
    return {
        "rows_per_s": rows / seconds,
        "stock_rows_per_s": rows / stock_seconds,
        "ratio": stock_seconds / seconds,
        "max_difference": difference,
        "stock_auc_difference": stock_difference,
        "seconds": ours,
        "stock_seconds": stock,
        "rows": rows,
        "domains": domains,
    }


def markdown(figures: dict[str, Any], command: str) -> str:
    """Return the figures of `run` as a section of a Markdown page."""
    return "\n".join(
        [
            "## DomainEvaluator beside TFMA's own metrics",
            "",
            f"{figures['rows']:,} rows, {figures['domains']} domains, one model; medians of"
            f" {len(figures['seconds'])} runs in turn. Both compute AUC, log loss, calibration and counts of"
            " all rows and each domain; PR-AUC, ECE, GAUC and jackknife intervals are in our time alone.",
            "",
            "| evaluator | rows/s | seconds |",
            "|---|---|---|",
            *(
                f"| {name} | {figures[rate]:,.0f} | {statistics.median(figures[seconds]):.1f} |"
                for name, rate, seconds in (
                    ("DomainEvaluator", "rows_per_s", "seconds"),
                    ("TFMA", "stock_rows_per_s", "stock_seconds"),
                )
            ),
            "",
            f"Ratio {figures['ratio']:.1f}. The largest difference of a figure over all slices, of the AUC to"
            f" scikit-learn's and of the others to TFMA's, is {figures['max_difference']:.1e}; TFMA's AUC is"
            f" up to {figures['stock_auc_difference']:.1e} from scikit-learn's.",
            "",
            f"`{command}`",
            "",
            f"Machine: {machine()}.",
        ]
    )


def _trained(place: Path, domains: int, console: Console) -> tuple[LogSchema, str, list[str]]:
    """Return the log's schema, a trained SavedModel and the files of the test split."""
    sample = write(place / "sample", rows=4000 * domains, domains=domains)
    config = load(sample / "config.yaml", ["learning.epochs=1"])
    components = run_pipeline(config, RunFolder(place / "run"), console, until="Trainer")
    examples = components["LogExampleGen"]["outputs"]["examples"]["uri"]
    model = path_utils.serving_model_path(components["Trainer"]["outputs"]["model"]["uri"])
    return config.log, model, split_files(f"{examples}/Split-test")


def _stock(files: list[str], model: str, output: str, log: LogSchema) -> None:
    """Evaluate with the metrics that TFMA brings."""
    config = config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(label_key=LABEL, signature_name=SIGNATURE, model_type="tf_generic")
        ],
        slicing_specs=[config_pb2.SlicingSpec(), config_pb2.SlicingSpec(feature_keys=[log.domain])],
        metrics_specs=[
            config_pb2.MetricsSpec(metrics=[config_pb2.MetricConfig(class_name=name) for name in STOCK])
        ],
    )
    with _pipeline() as pipeline:
        rows = tf_example_record.TFExampleRecord(
            files, raw_record_column_name=tfma.ARROW_INPUT_COLUMN, telemetry_descriptors=["bench"]
        )
        (
            pipeline
            | rows.BeamSource()
            | tfma.ExtractEvaluateAndWriteResults(
                eval_shared_model=tfma.default_eval_shared_model(model, eval_config=config),
                eval_config=config,
                output_path=output,
            )
        )


def _exact_aucs(files: list[str], model: str, log: LogSchema) -> dict[str, float]:
    """Return scikit-learn's AUC of all rows, under "", and of each domain that has both classes."""
    answer = tf.saved_model.load(model).signatures[SIGNATURE]
    parts = []
    for file in files:
        for records, columns in read_columns(file, [log.domain], [LABEL]):
            scores = answer(tf.constant(records))[PROBABILITY].numpy().ravel()
            parts.append((columns[log.domain].to_numpy(False), columns[LABEL].to_numpy(False), scores))
    domain, label, score = (np.concatenate(column) for column in zip(*parts, strict=True))
    slices = {"": np.full(len(label), True)} | {name: domain == name for name in np.unique(domain)}
    both = {name: kept for name, kept in slices.items() if 0 < label[kept].mean() < 1}
    return {name: float(roc_auc_score(label[kept], score[kept])) for name, kept in both.items()}


def _differences(
    ours: dict[str, Any], stock: tfma.EvalResult, exact: dict[str, float]
) -> tuple[float, float]:
    """Return the largest difference of our figures, and that of TFMA's AUC, over all slices."""
    own_by_slice = {"": ours["overall"], **ours["domains"]}
    found = [abs(own_by_slice[name]["auc"] - auc) for name, auc in exact.items()]
    stock_aucs = []
    for key, outputs in stock.slicing_metrics:
        name = key[0][1] if key else ""
        named = {
            metric: value.get("doubleValue")
            for keys in outputs.values()
            for sub in keys.values()
            for metric, value in sub.items()
        }
        own = own_by_slice[name]
        found += [
            abs(named[theirs] - own[metric]) for theirs, metric in SAME.items() if own[metric] is not None
        ]
        stock_aucs += [abs(named["auc"] - exact[name])] if name in exact else []
    return max(found), max(stock_aucs)


def _pipeline() -> beam.Pipeline:
    return beam.Pipeline(options=PipelineOptions(BeamSettings().pipeline_args))
