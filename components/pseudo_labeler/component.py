"""PseudoLabeler as a TFX component."""

import os
from pathlib import Path

import apache_beam as beam
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow_transform as tft
from apache_beam.io import fileio
from tfx import v1 as tfx
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.log_example_gen.handing import hand_through, write_table
from components.pseudo_labeler.label import LabelRows
from components.pseudo_labeler.settings import LABELS_FILE
from models.domain_classifier import load, read_description
from models.features import FeatureSpec
from models.settings import PSEUDO
from schema import progress
from schema.log_schema import LogSchema


@tfx.dsl.components.component(use_beam=True)
def PseudoLabeler(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    transform_graph: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.TransformGraph],
    classifier: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Model],
    labeled_examples: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Examples],
    labels: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ExampleStatistics],
    log: tfx.dsl.components.Parameter[str],
    code: tfx.dsl.components.Parameter[str] = "",
    beam_pipeline: tfx.dsl.components.BeamComponentParameter[beam.Pipeline] = None,
):
    """Add a split of the dominant domains' training rows, as rows of the domain that each looks most like.

    Args:
        examples: of Transform. transform_graph: likewise. classifier: of DomainClassifier.
        labeled_examples: receives the splits of `examples` as they are, and `pseudo`: rows whose domain is
            the pseudo-domain, with their click label, `mdr_source_domain`, `mdr_p` and `mdr_confidence`.
        labels: receives `labels.parquet`, rows and sum of the confidence by source, target and bin of the
            confidence, and as custom property the number of `rows`.
        log: `LogSchema` as JSON.
        code: hash of the source, for the cache only.
        beam_pipeline: where to run.
    """
    transform = tft.TFTransformOutput(transform_graph.uri)
    spec = FeatureSpec.from_transform(LogSchema.model_validate_json(log), transform)
    model = path_utils.serving_model_dir(classifier.uri)
    load(Path(model), spec)  # refused here, not by a worker, if it is of other vocabularies
    described = read_description(Path(model))
    splits = artifact_utils.decode_split_names(examples.split_names)
    labeled_examples.split_names = artifact_utils.encode_split_names([*splits, PSEUDO])
    hand_through(examples, labeled_examples, splits)
    folder = os.path.join(labeled_examples.uri, f"Split-{PSEUDO}")
    with beam_pipeline as pipeline:
        (
            pipeline
            | "Files" >> beam.Create([os.path.join(artifact_utils.get_split_uri([examples], "train"), "*")])
            | "Match" >> fileio.MatchAll()
            | "Path" >> beam.Map(lambda file: file.path)
            | "Label" >> LabelRows(model, spec, described["dominant"], described["classes"], folder)
            | "Write" >> beam.Map(write_table, labels.uri, LABELS_FILE)
        )
    labels.split_names = artifact_utils.encode_split_names([PSEUDO])
    rows = pc.sum(pq.read_table(os.path.join(labels.uri, LABELS_FILE))["rows"]).as_py()
    labels.set_int_custom_property("rows", rows)
    progress.report("PseudoLabeler", rows=rows)
