"""The evaluation as a TFX component."""

import json
import os
from pathlib import Path

import apache_beam as beam
from tfx import v1 as tfx
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.domain_evaluator.evaluate import evaluate, split_files
from components.domain_evaluator.settings import NEW_USER, EvaluationSettings
from components.item_popularity.popularity import ITEMS
from schema.log_schema import LogSchema

METRICS_FILE = "metrics.json"


@tfx.dsl.components.component(use_beam=True)
def DomainEvaluator(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    model: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    baseline: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    popularity: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleStatistics],
    evaluation: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ModelEvaluation],
    log: tfx.dsl.components.Parameter[str],
    settings: tfx.dsl.components.Parameter[str],
    code: tfx.dsl.components.Parameter[str] = "",
    beam_pipeline: tfx.dsl.components.BeamComponentParameter[beam.Pipeline] = None,
):
    """Write `metrics.json`: the model's figures and the baseline's, over all test rows and by domain.

    Args:
        examples: raw tf.Examples; the split `test` is read, and `train` for the crossing `new_user`.
        model: the candidate. baseline: from LatestBlessedModel; its property `found` says if there is one.
        popularity: of ItemPopularity, for the crossing `item_popularity`.
        evaluation: receives TFMA's own files, `replicates.parquet` and `metrics.json`; the number of
            `rows` as a custom property.
        log: `LogSchema` as JSON. settings: `EvaluationSettings` as JSON.
        code: hash of the source, for the cache only.
        beam_pipeline: given by TFX.
    """
    found = baseline.get_int_custom_property("found")
    chosen = EvaluationSettings.model_validate_json(settings)
    read = ["test", *(["train"] if NEW_USER in chosen.crossings else [])]
    files = {name: split_files(artifact_utils.get_split_uri([examples], name)) for name in read}
    measured = evaluate(
        beam_pipeline,
        files["test"],
        path_utils.serving_model_path(model.uri),
        path_utils.serving_model_path(baseline.uri) if found else None,
        os.path.join(evaluation.uri, "tfma"),
        LogSchema.model_validate_json(log),
        chosen,
        files.get("train"),
        os.path.join(popularity.uri, ITEMS),
    )
    if measured["baseline"]:
        measured["baseline"]["version"] = baseline.get_int_custom_property("version")
    Path(evaluation.uri, METRICS_FILE).write_text(json.dumps(measured, indent=1), encoding="utf-8")
    evaluation.set_int_custom_property("rows", measured["overall"]["rows"])
