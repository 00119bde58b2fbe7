"""`mdr bench evaluate`: DomainEvaluator against TFMA's own metrics, on the same rows, side by side."""

import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tfx  # noqa: F401 - first: it stands in for a part of tfx-bsl that TFMA imports and the wheels lack
from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console
from tfx.utils import path_utils

# isort: split
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx_bsl.tfxio import tf_example_record

from components.domain_evaluator.evaluate import evaluate, split_files
from components.domain_evaluator.settings import EvaluationSettings
from components.domain_evaluator.trial import SIGNATURE
from pipeline.bench.machine import machine
from pipeline.config import BeamSettings, load
from pipeline.run import run as run_pipeline
from pipeline.run_folder import RunFolder, read_json
from schema.log_schema import LABEL, LogSchema
from schema.sample.write import write

STOCK = ("AUC", "BinaryCrossEntropy", "Calibration", "ExampleCount")
SAME = {"auc": "auc", "binary_crossentropy": "logloss", "calibration": "calibration"}  # TFMA's name, ours
SETTINGS = EvaluationSettings(min_rows=2, min_each_class=1)  # every slice with both classes


def run(rows: int, domains: int, repeat: int, console: Console) -> dict[str, Any]:
    """Measure both with a model of generated logs, whose test rows are gone over until there are enough.

    Args:
        rows: to evaluate at least. domains: of the logs. repeat: how often each is run, in turn.
        console: where the progress of the training is shown.

    Returns:
        `rows_per_s` and `stock_rows_per_s` (medians), their `ratio`, `max_difference` over all slices of the
        metrics that both have, the `seconds` and `stock_seconds` of each run, `rows`, `domains`. GAUC,
        PR-AUC, ECE and the intervals are in our time alone.
    """
    with tempfile.TemporaryDirectory() as place:
        log, model, files = _trained(Path(place), domains, console)
        counted = sum(1 for _ in tf.data.TFRecordDataset(files, "GZIP"))
        files = files * math.ceil(rows / counted)
        ours, stock = [], []
        for i in range(repeat):
            out = [str(Path(place) / f"{kind}-{i}") for kind in ("ours", "stock")]
            started = time.monotonic()
            figures = evaluate(_pipeline(), files, model, None, out[0], log, SETTINGS)
            between = time.monotonic()
            _stock(files, model, out[1], log)
            ours.append(between - started)
            stock.append(time.monotonic() - between)
        difference = _difference(figures, tfma.load_eval_result(out[1]))
    rows = counted * (len(files) // len(set(files)))
    seconds, stock_seconds = statistics.median(ours), statistics.median(stock)
    return {
        "rows_per_s": rows / seconds,
        "stock_rows_per_s": rows / stock_seconds,
        "ratio": stock_seconds / seconds,
        "max_difference": difference,
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
            f"Ratio {figures['ratio']:.1f}; the largest difference of a figure is"
            f" {figures['max_difference']:.1e}.",
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
    folder = RunFolder(place / "run")
    run_pipeline(config, folder, console, until="Trainer")
    components = read_json(folder.record)["components"]
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


def _difference(ours: dict[str, Any], stock: tfma.EvalResult) -> float:
    """Return the largest difference of a figure over all slices."""
    differences = []
    for key, outputs in stock.slicing_metrics:
        own = ours["domains"][key[0][1]] if key else ours["overall"]
        named = {
            name: value.get("doubleValue")
            for keys in outputs.values()
            for sub in keys.values()
            for name, value in sub.items()
        }
        known = {theirs: own[name] for theirs, name in SAME.items() if own[name] is not None}
        differences += [
            abs(named[name] - value) for name, value in known.items()
        ]  # TFMA's AUC of one class is 0
    return max(differences)


def _pipeline() -> beam.Pipeline:
    return beam.Pipeline(options=PipelineOptions(BeamSettings().pipeline_args))
