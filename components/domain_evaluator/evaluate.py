"""Runs TFMA over the test rows with one or two SavedModels."""

from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tfx  # noqa: F401 - first: it stands in for a part of tfx-bsl that TFMA imports and the wheels lack

# isort: split
import tensorflow_model_analysis as tfma
from tfx_bsl.tfxio import tf_example_record

from components.domain_evaluator.metrics import BASELINE, CANDIDATE, eval_config, figures
from components.domain_evaluator.settings import EvaluationSettings
from components.domain_evaluator.trial import unusable
from schema.log_schema import LogSchema

TRIAL_ROWS = 1000  # answered by each model before TFMA starts, whose own errors name no model


class NoTestRowsError(ValueError):
    """There is nothing to evaluate on."""


class ModelError(ValueError):
    """The model to be judged does not answer the test rows."""


def evaluate(
    pipeline: beam.Pipeline,
    test: list[str],
    candidate: str,
    baseline: str | None,
    output: str,
    log: LogSchema,
    settings: EvaluationSettings,
) -> dict[str, Any]:
    """Measure the candidate, and the baseline on the same rows.

    Args:
        pipeline: the Beam pipeline to run on; it is run to its end.
        test: files of gzipped TFRecords of raw tf.Examples.
        candidate: SavedModel to be judged. baseline: SavedModel that serves now, None where there is none.
        output: folder for TFMA's own files.
        log: the log's schema. settings: when a domain has too few rows.

    Returns:
        The candidate's figures (see `metrics.figures`), under `baseline` those of the baseline or None, and
        under `baseline_note` why a baseline was left out, or None.

    Raises:
        NoTestRowsError: the test split is empty.
        ModelError: the candidate does not answer the first test rows with finite probabilities.
    """
    rows = first_rows(test, TRIAL_ROWS)
    if fault := unusable(candidate, rows):
        raise ModelError(f"the trained model {fault}")
    # The served model may be older than the log's present columns: that must not stop the new one.
    fault = unusable(baseline, rows) if baseline else None
    note = f"The model that serves was left out of the comparison: it {fault}" if fault else None
    models = {CANDIDATE: candidate} | ({BASELINE: baseline} if baseline and not note else {})
    config = eval_config(log, list(models))
    shared = [
        tfma.default_eval_shared_model(path, model_name=name, eval_config=config)
        for name, path in models.items()
    ]
    with pipeline:
        (
            pipeline
            | "ReadTestRows"
            >> tf_example_record.TFExampleRecord(
                test,
                raw_record_column_name=tfma.ARROW_INPUT_COLUMN,
                telemetry_descriptors=["DomainEvaluator"],
            ).BeamSource()
            | "Evaluate"
            >> tfma.ExtractEvaluateAndWriteResults(
                eval_shared_model=shared if len(shared) > 1 else shared[0],
                eval_config=config,
                output_path=output,
            )
        )
    # TFMA drops the name of an only model.
    measured = {name: _load(output, name if len(models) > 1 else None, settings) for name in models}
    return {**measured[CANDIDATE], "baseline": measured.get(BASELINE), "baseline_note": note}


def first_rows(test: list[str], count: int) -> list[bytes]:
    """Return the first serialized tf.Examples of a split's files.

    Raises:
        NoTestRowsError: there are no files or no rows.
    """
    if not test:
        raise NoTestRowsError("the test split has no files: there is nothing to evaluate on.")
    rows = list(tf.data.TFRecordDataset(test, "GZIP").take(count).as_numpy_iterator())
    if not rows:
        raise NoTestRowsError("the test split has no rows: there is nothing to evaluate on.")
    return rows


def test_files(folder: str) -> list[str]:
    """Return the files of a split's folder."""
    return [str(file) for file in sorted(Path(folder).glob("*.gz"))]


def _load(output: str, model: str | None, settings: EvaluationSettings) -> dict[str, Any]:
    return figures(tfma.load_eval_result(output, model_name=model), settings)
