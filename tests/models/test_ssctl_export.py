"""SSCTL from the Beam pass to the SavedModel: one p, and moments that are saved with the model."""

from pathlib import Path

import apache_beam as beam
import keras
import numpy as np
import tensorflow as tf
from apache_beam.testing.test_pipeline import TestPipeline as BeamPipeline
from conftest_models import make_inputs
from conftest_transformed import LOG, dense
from test_export import arguments

from components.pseudo_labeler.label import LabelRows
from models import domain_classifier, trainer
from models.backend import create_steps
from models.export import export
from models.inputs import Inputs
from models.layers.domain_classifier import DomainClassifier
from models.settings import ModelSettings

SETTINGS = ModelSettings(
    architecture="ssctl",
    settings={"n_experts": 2, "expert_units": (8,), "gate_units": (4,), "tower_units": (4,)},
    embedding_dim=4,
)


def saved_classifier(spec, place: Path) -> Path:
    classifier = DomainClassifier(spec, (0,), (8,), 4)
    classifier(make_inputs(2, spec))
    random = np.random.default_rng(0)
    classifier.set_weights([random.normal(size=weight.shape) for weight in classifier.weights])
    domain_classifier.save(classifier, place, {}, spec.fingerprint)
    return place


def test_p_of_the_pass_is_p_of_the_exported_model_whose_moments_are_those_of_the_training(
    spec, transformed, tmp_path
):
    folder = saved_classifier(spec, tmp_path / "classifier")
    pseudo = tmp_path / "Split-pseudo"
    pseudo.mkdir()
    with BeamPipeline(runner="FnApiRunner") as pipeline:
        paths = pipeline | beam.Create(transformed.files["train"])
        paths | LabelRows(str(folder), spec, (0,), (1, 2), str(pseudo))
    train = [*transformed.files["train"], f"{pseudo}/*"]
    given = Inputs(arguments(transformed, tmp_path, train_files=train, base_model=str(folder)))
    model = trainer.new_model(spec, SETTINGS, given.learning, given.train, given.validation, folder)
    logs = tmp_path / "logs"
    rows = (given.train, given.validation)
    trainer.train(model, *rows, given.learning, given.work, logs, pseudo=given.pseudo)
    for weight in model.trainable_variables:  # as after a long training, far from zero
        weight.assign(np.random.default_rng(1).normal(scale=0.5, size=weight.shape))
    export(model, transformed.output, LOG, tmp_path / "model")

    loaded = tf.saved_model.load(str(tmp_path / "model"))
    for own, before in (("mu", 1 / 2), ("variance", 1.0)):
        [exported] = (v for v in loaded.weights if v.name == f"confidence_weights/{own}:0")
        assert exported.numpy() == getattr(model.confidence_weights, own).numpy() != before
    classifier = DomainClassifier(spec, (0,), (8,), 4)
    classifier(make_inputs(2, spec))
    weights = [v for v in loaded.weights if v.name.startswith("domain_classifier")]
    classifier.set_weights([weight.numpy() for weight in weights])
    p = classifier.probabilities(given.pseudo.arrays)
    np.testing.assert_allclose(given.pseudo.arrays["mdr_p"], p, rtol=1e-5)

    raw = transformed.rows["validation"]
    answer = loaded.signatures["columns"](**dense(raw))["probability"].numpy()
    order = np.argsort([spec.domains.index(row["channel"]) for row in raw], kind="stable")
    in_memory = create_steps(model, keras.optimizers.Adam()).predict(given.validation.arrays)
    np.testing.assert_allclose(answer[order], in_memory, atol=1e-6)
    for weight in weights:  # C is computed in there, not looked up
        weight.assign(tf.zeros_like(weight))
    assert np.abs(loaded.signatures["columns"](**dense(raw))["probability"].numpy() - answer).max() > 1e-4
