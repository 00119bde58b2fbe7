"""DFEI beside its equations: what fits it, what it costs, how it is trained, and its state in the export."""

import numpy as np
import pytest
import tensorflow as tf
from conftest_models import SPEC, make_columns, make_inputs, small_classifier, small_model
from conftest_transformed import LOG, dense
from test_export import arguments

from models import trainer
from models.architectures.base import create_model
from models.backend import create_steps
from models.backend.optimizer import RowAdam
from models.export import export
from models.inputs import Inputs
from models.layers.domain_features import DomainFeatureExtraction
from models.layers.personalized_integration import PersonalizedIntegration
from models.learning.cyclic import Cyclic
from models.plugins.base import Plugin
from models.pseudo import CONFIDENCE
from models.registry import check, entries
from models.settings import LearningSettings, ModelSettings

ARCHITECTURES = {entry.name: entry.cls for entry in entries("architectures")}
FITTING = [name for name, architecture in ARCHITECTURES.items() if architecture.enrichable]


class Heard(Plugin):
    """Notes how often, and with what, it is asked to enrich."""

    def __init__(self, settings, model):
        super().__init__(settings, model)
        self.shapes = []

    def enrich(self, representation, specific, training):
        self.shapes.append((tuple(representation.shape), tuple(specific.shape)))
        return representation


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "aread"])  # which has a base
def test_an_architecture_calls_enrich_once_if_it_says_so(name, monkeypatch):
    heard = []

    def plugins(self, model, classifier):
        heard.append(Heard(None, self))
        return heard

    monkeypatch.setattr(ARCHITECTURES[name], "_make_plugins", plugins)
    model = small_model(name)
    heard[0].shapes.clear()
    model(make_inputs(5))
    assert len(heard[0].shapes) == (name in FITTING)
    for representation, specific in heard[0].shapes:
        assert representation[0] == specific[0] == 5 and len(representation) == len(specific) == 2


@pytest.mark.parametrize("name", FITTING)
def test_features_are_added_wherever_they_fit(name):
    settings = ModelSettings(architecture=name, plugins=("dfei",))
    check(settings, LearningSettings(), has_classifier=True)
    classifier = small_classifier() if name == "ssctl" else None
    model = create_model(SPEC, settings, classifier=classifier)
    inputs = make_inputs(20)
    model(inputs, training=True)
    features, before = model.domain_features, model(inputs).numpy()
    assert features.seen.numpy().tolist() == [1, 1, 1, 0] and np.any(features.v.numpy()[:3])
    features.v.assign(np.random.default_rng(0).normal(size=features.v.shape))
    assert np.abs(model(inputs).numpy() - before).max() > 1e-4


def test_rows_with_a_pseudo_domain_enter_no_feature():
    settings = ModelSettings(architecture="ssctl", plugins=("dfei",))
    model, inputs = create_model(SPEC, settings, classifier=small_classifier()), make_inputs(20)
    confidence = np.where(inputs["channel"] == 0, 0.9, 0.0).astype("float32")
    model({**inputs, CONFIDENCE: confidence}, training=True)
    assert model.domain_features.seen.numpy().tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("name", ["mmoe", "aread"])
def test_other_architectures_are_refused_before_any_work(name):
    settings = ModelSettings(architecture=name, plugins=("dfei",))
    message = f"dfei does not fit {name}, .*; it fits adi, aitm, cgc, dfei, hinet, ple, sar_net, ssctl"
    with pytest.raises(ValueError, match=message):
        check(settings, LearningSettings(), has_classifier=False)
    with pytest.raises(ValueError, match=message):
        create_model(SPEC, settings)


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_alpha_is_a_share(alpha):
    settings = ModelSettings(architecture="dfei", plugin_settings={"dfei": {"alpha": alpha}})
    with pytest.raises(ValueError, match="settings of dfei: alpha: "):
        check(settings, LearningSettings(), has_classifier=False)


def test_the_integration_does_what_every_layer_must(check_layer):
    rng = np.random.default_rng(3)
    e, v = rng.normal(size=(6, 5)).astype("float32"), rng.normal(size=(4, 3)).astype("float32")
    check_layer(PersonalizedIntegration(2), e, v, np.array([1, 1, 1, 0], "float32"), expected_shape=(6, 2))


def test_a_step_makes_nothing_of_the_size_of_rows_times_domains_times_width():
    """Of 500 domains and 64 rows, a tensor `(rows, domains, k)` would have a million elements at k = 32."""
    n, size = 500, 64
    features, integration = DomainFeatureExtraction(n + 1), PersonalizedIntegration()

    @tf.function
    def step(e, u, domain):
        with tf.GradientTape() as tape:
            tape.watch(u)
            v, seen, own = features(u, domain, training=True)
            loss = tf.reduce_sum(integration(e, v, seen)) + tf.reduce_sum(own)
        return tape.gradient(loss, [u, *integration.trainable_variables])

    specs = [tf.TensorSpec((size, 20)), tf.TensorSpec((size, 32)), tf.TensorSpec((size,), tf.int32)]
    outputs = [out for op in step.get_concrete_function(*specs).graph.get_operations() for out in op.outputs]
    sizes = [out.shape.num_elements() or 0 for out in outputs if out.shape.rank is not None]
    assert size * n < max(sizes) <= size * (n + 1)


def test_cyclic_slows_what_the_paper_counts_as_shared():
    """Theta^s is E, f, h_1, h_2 and h_3; f_d and the head are the domains' own (section 3.3)."""
    model = small_model("dfei")
    columns = make_columns(60)
    method = Cyclic(Cyclic.Settings(), model, RowAdam(0.01), 8, 0, columns)
    own = [*model.specific.trainable_variables, *model.head.trainable_variables]
    for variable in model.trainable_variables:
        rate = 1.0 if any(variable is one for one in own) else 1 / 3
        assert getattr(variable, "rate_factor", 1.0) == pytest.approx(rate), variable.path
    for _ in method.epoch(0):  # whose batches are of one domain each
        pass
    assert model.domain_features.seen.numpy().tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize("rows", [1, 64])
def test_a_mean_in_low_precision_still_moves(rows):
    layer = DomainFeatureExtraction(3, 0.99, dtype="mixed_bfloat16")
    for value in (0.0, 1.0):  # a step of 0.001 from 1 on would be lost
        for _ in range(2):
            layer(np.full((rows, 2), value, "float32"), np.zeros(rows, "int32"), training=True)
    np.testing.assert_allclose(layer.v[0], 1 - 0.99**2, rtol=1e-5)


def test_the_exported_features_are_those_of_the_training(spec, transformed, tmp_path):
    given = Inputs(arguments(transformed, tmp_path))
    settings = {"units": (8, 4), "head_units": (4,)}
    model_settings = ModelSettings(architecture="dfei", settings=settings, embedding_dim=4)
    rows = (given.train, given.validation)
    model = trainer.new_model(spec, model_settings, given.learning, *rows)
    history = trainer.train(model, *rows, given.learning, given.work, tmp_path / "logs")
    export(model, transformed.output, LOG, tmp_path / "model")

    loaded = tf.saved_model.load(str(tmp_path / "model"))
    exported = {}
    for own in ("v", "seen"):
        [exported[own]] = (variable for variable in loaded.weights if variable.name == f"dfei/{own}:0")
        np.testing.assert_array_equal(exported[own], getattr(model.domain_features, own))
    assert exported["seen"].numpy().tolist() == [1] * spec.n_domains + [0]
    assert np.any(exported["v"].numpy()[:-1], axis=1).all()
    noted = [row["dfei"]["domains"] for row in history]
    best = max(range(len(history)), key=lambda i: history[i]["mean_domain_auc"])
    assert list(noted[best]) == list(spec.domains)
    np.testing.assert_allclose(list(noted[best].values()), exported["v"].numpy()[:-1], atol=5.1e-5)

    raw = transformed.rows["validation"]
    order = np.argsort([spec.domains.index(row["channel"]) for row in raw], kind="stable")
    in_memory = create_steps(model, RowAdam())

    def served(rows):
        return loaded.signatures["columns"](**dense(rows))["probability"].numpy()

    answer = served(raw)
    np.testing.assert_allclose(answer[order], in_memory.predict(given.validation.arrays), atol=1e-6)
    nowhere = served([{**row, "channel": "never seen"} for row in raw])
    unknown = np.full(len(raw), spec.n_domains, "int32")
    expected = in_memory.predict({**given.validation.arrays, "channel": unknown})
    np.testing.assert_allclose(nowhere[order], expected, atol=1e-6)
    assert np.abs(nowhere - answer).max() > 1e-4
    exported["v"].assign(exported["v"] + 1.0)  # they are read, not built in
    assert np.abs(served(raw) - answer).max() > 1e-6
