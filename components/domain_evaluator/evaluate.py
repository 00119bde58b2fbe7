"""Runs TFMA over the test rows with one or two SavedModels."""

import os
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tfx  # noqa: F401 - first: it stands in for a part of tfx-bsl that TFMA imports and the wheels lack

# isort: split
import tensorflow_model_analysis as tfma
from tfx_bsl.tfxio import tf_example_record

from components.domain_evaluator.metrics import BASELINE, CANDIDATE, SIGNATURE, eval_config, figures
from components.domain_evaluator.settings import EvaluationSettings
from schema.log_schema import LogSchema


class NoTestRowsError(ValueError):
    """There is nothing to evaluate on."""


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
    """
    if not test:
        raise NoTestRowsError("the test split has no files: there is nothing to evaluate on.")
    note = unusable(baseline) if baseline else None
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
    if not measured[CANDIDATE]["overall"]["rows"]:
        raise NoTestRowsError("the test split has no rows: there is nothing to evaluate on.")
    return {**measured[CANDIDATE], "baseline": measured.get(BASELINE), "baseline_note": note}


def unusable(model: str) -> str | None:
    """Return why a SavedModel cannot be evaluated, or None if it can."""
    try:
        signatures = tf.saved_model.load(model).signatures
    except Exception as error:
        return f"the baseline {os.path.basename(model)} does not load: {type(error).__name__}: {error}"
    if SIGNATURE not in signatures:
        return f"the baseline {os.path.basename(model)} has no signature {SIGNATURE!r}."
    return None


def test_files(folder: str) -> list[str]:
    """Return the files of a split's folder."""
    return [str(file) for file in sorted(Path(folder).glob("*.gz"))]


def _load(output: str, model: str | None, settings: EvaluationSettings) -> dict[str, Any]:
    result = tfma.load_eval_result(output, model_name=model)
    if not result.slicing_metrics:
        raise NoTestRowsError("the test split has no rows: there is nothing to evaluate on.")
    return figures(result, settings)
