"""DomainClassifier as a TFX component."""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from absl import logging
from tfx import v1 as tfx
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.domain_classifier.settings import ClassifierSettings
from components.domain_classifier.train import choose_dominant, train_classifier
from models.domain_classifier import save
from models.features import FeatureSpec
from models.feeding import load_columns
from schema import progress
from schema.log_schema import LogSchema


@tfx.dsl.components.component
def DomainClassifier(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    transform_graph: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.TransformGraph],
    model: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Model],
    log: tfx.dsl.components.Parameter[str],
    settings: tfx.dsl.components.Parameter[str],
    code: tfx.dsl.components.Parameter[str] = "",
):
    """Train the classifier C of SSCTL on the training rows of the non-dominant domains.

    A classifier that is no better than chance is said to be so, and the run goes on.

    Args:
        examples: of Transform, whose split `train` is read. transform_graph: likewise.
        model: receives the classifier where TFX looks for a base model, and as custom properties
            `accuracy` and `majority_rate` on the held-out rows and the `warning`, empty if there is none.
        log: `LogSchema` as JSON. settings: `ClassifierSettings` as JSON.
        code: hash of the source, for the cache only.
    """
    transform = tft.TFTransformOutput(transform_graph.uri)
    spec = FeatureSpec.from_transform(LogSchema.model_validate_json(log), transform)
    chosen = ClassifierSettings.model_validate_json(settings)
    files = tf.io.gfile.glob(f"{artifact_utils.get_split_uri([examples], 'train')}/*")
    with tempfile.TemporaryDirectory() as work:
        columns = load_columns(files, spec, Path(work) / "train")
        dominant = choose_dominant(spec.domains, np.diff(columns.offsets)[:-1], chosen)
        classifier, quality = train_classifier(columns, spec, dominant, chosen)
    folder = Path(path_utils.serving_model_dir(model.uri))
    save(classifier, folder, quality, spec.fingerprint)
    for name in ("accuracy", "majority_rate"):
        if quality[name] is not None:
            model.set_float_custom_property(name, quality[name])
    warning = ""
    if quality["better_than_chance"] is False:
        warning = (
            f"the domain classifier is no better than chance: it is right on {quality['accuracy']:.1%} of"
            f" the held-out rows, always saying the largest domain is on {quality['majority_rate']:.1%}. Rows"
            " with a pseudo-domain do not count in the training."
        )
    elif quality["better_than_chance"] is None:
        only = len(quality["classes"]) == 1
        why = f"{quality['classes'][0]} is the only one to tell" if only else "no row could be held out"
        warning = (
            f"nothing is known of how good the domain classifier is: {why}. With isct, rows of"
            f" {', '.join(quality['dominant'])} count as rows of others all the same."
        )
    if warning:
        logging.warning("%s", warning)
        progress.report("DomainClassifier", warning=warning)
    model.set_string_custom_property("warning", warning)
    progress.report("DomainClassifier", rows=sum(quality["train_rows"]))
