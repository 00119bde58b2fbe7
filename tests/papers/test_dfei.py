"""DFEI: the domains' features (Eq. 4) and what a row takes from them (Eq. 5-7), against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest_papers import ROWS, SPEC, build, make_inputs, relu, tower

from models.architectures.base import create_model
from models.backend import create_steps
from models.backend.optimizer import RowAdam
from models.layers.domain_features import DomainFeatureExtraction
from models.layers.personalized_integration import PersonalizedIntegration
from models.settings import ModelSettings

N, WIDTH = 4, 3  # three domains and the unknown one


class Reference:
    """Eq. 4, row by row: features by domain, none of a domain that had no row."""

    def __init__(self, alpha):
        self.alpha = alpha
        self.v = {}

    def see(self, u, domain):
        for d in set(domain) - {N - 1}:
            pooled = np.mean([row for row, own in zip(u, domain, strict=True) if own == d], axis=0)
            self.v[d] = self.alpha * self.v[d] + (1 - self.alpha) * pooled if d in self.v else pooled

    def features(self):
        mean = np.mean(list(self.v.values()), axis=0) if self.v else np.zeros(WIDTH)
        return np.array([self.v.get(d, mean) for d in range(N)])

    def seen(self):
        return np.array([float(d in self.v) for d in range(N)])


# A mixed batch, one of a single domain, one row, one of unknown domains alone, a late domain, all domains.
BATCHES = ([0, 2, 0, 3, 0], [0, 0, 0], [2], [3, 3], [1, 0], [2, 1, 0, 1, 3])


def rows(domain, seed=0):
    return np.random.default_rng(seed).normal(size=(len(domain), WIDTH)).astype("float32")


@pytest.mark.parametrize("alpha", [0.0, 0.9, 1.0])
def test_features_are_running_means_of_the_rows_of_each_domain(alpha):
    layer, reference = DomainFeatureExtraction(N, alpha), Reference(alpha)
    for i, batch in enumerate(BATCHES):
        domain, u = np.array(batch, "int32"), rows(batch, i)
        reference.see(u, batch)
        kept = np.where(reference.seen()[:, None] > 0, reference.features(), 0)
        for training in (True, False):  # after a batch, inference reads what training has just read
            v, seen, own = layer(u, domain, training=training)
            np.testing.assert_allclose(v, reference.features(), rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(seen, reference.seen())
            np.testing.assert_allclose(own, reference.features()[domain], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(layer.v, kept, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(layer.seen, reference.seen())
    assert not layer.trainable_variables


def test_rows_that_do_not_count_enter_no_mean():
    domain, counts = np.array([0, 0, 1, 2, 2], "int32"), np.array([1, 0, 0, 1, 1], bool)
    some, all_of_them = (DomainFeatureExtraction(N, 0.9) for _ in range(2))
    u = rows(domain)
    some(u, domain, counts, training=True)
    all_of_them(u[counts], domain[counts], training=True)
    np.testing.assert_allclose(some.v, all_of_them.v, rtol=1e-6)
    np.testing.assert_array_equal(some.seen, [1, 0, 1, 0])  # the second domain has no row of its own


def test_before_the_first_batch_all_features_are_zeros():
    layer = DomainFeatureExtraction(N)
    v, seen, own = layer(rows([1, 3]), np.array([1, 3], "int32"))
    assert not np.any(v) and not np.any(seen) and own.shape == (2, WIDTH) and not np.any(own)


def test_a_layer_comes_back_from_its_config_and_says_its_shapes():
    layer = DomainFeatureExtraction.from_config(DomainFeatureExtraction(N, 0.3).get_config())
    assert (layer.n_domains, layer.alpha) == (N, 0.3)
    outputs = layer(rows([1, 3]), np.array([1, 3], "int32"))
    assert tuple(tuple(one.shape) for one in outputs) == layer.compute_output_shape((2, WIDTH))


@pytest.mark.parametrize("alpha", [0.0, 0.9, 1.0])
def test_the_gradient_reaches_the_rows_through_one_minus_alpha_alone(alpha):
    domain, weights = np.array([0, 2, 0, 3], "int32"), np.random.default_rng(5).normal(size=(N, WIDTH))
    first, u = rows(domain, 1), rows(domain, 2)

    def total(u, layer):
        v, _, _ = layer(u, domain, training=True)
        return keras.ops.sum(v * weights.astype("float32"))

    def after_one_batch():
        layer = DomainFeatureExtraction(N, alpha)
        layer(first, domain, training=True)
        return layer

    layer, x = after_one_batch(), tf.Variable(u)
    with tf.GradientTape() as tape:
        loss = total(x, layer)
    found = tape.gradient(loss, x, unconnected_gradients="zero").numpy()
    differences = np.zeros_like(u)
    for place in np.ndindex(*u.shape):
        step = np.zeros_like(u)
        step[place] = 0.1
        above, below = (float(total(u + side * step, after_one_batch())) for side in (1, -1))
        differences[place] = (above - below) / 0.2
    np.testing.assert_allclose(found, differences, atol=2e-4)
    # Of domain 0, two rows share the mean; what is there of 1 and 3 is the mean of the features of 0 and 2.
    of_0 = weights[0] + (weights[1] + weights[3]) / 2
    np.testing.assert_allclose(found[0], (1 - alpha) * of_0 / 2, rtol=1e-4, atol=1e-6)
    assert not np.any(found[3])


def test_nothing_leads_from_one_batch_to_the_next():
    layer, x = DomainFeatureExtraction(N, 0.9), tf.Variable(rows([0, 1]))
    with tf.GradientTape() as tape:
        layer(x, np.array([0, 1], "int32"), training=True)
        v, _, _ = layer(rows([0, 1], 1), np.array([0, 1], "int32"), training=True)
        loss = keras.ops.sum(v)
    assert tape.gradient(loss, x) is None


def integrated(layer, e, v, seen):
    """Eq. 5-6, over the domains that are there."""
    w1, b1 = (weight.numpy() for weight in layer.h_1.weights)
    w2, b2 = (weight.numpy() for weight in layer.h_2.weights)
    there = v[seen > 0]
    scores = (e @ w2 + b2) @ (there @ layer.h_3.kernel.numpy()).T / np.sqrt(layer.k)
    w = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (w / w.sum(axis=1, keepdims=True)) @ (there @ w1 + b1)


@pytest.mark.parametrize("seen", [[1, 1, 1, 0], [0, 1, 0, 0]])
def test_a_row_weighs_the_features_that_are_there(seen):
    rng = np.random.default_rng(3)
    e, v = rng.normal(size=(6, 5)).astype("float32"), rng.normal(size=(N, WIDTH)).astype("float32")
    layer, seen = PersonalizedIntegration(2), np.array(seen, "float32")
    layer(e, v, seen)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    np.testing.assert_allclose(layer(e, v, seen), integrated(layer, e, v, seen), rtol=1e-4, atol=1e-5)


def test_where_no_domain_has_a_feature_there_is_nothing_to_take():
    layer = PersonalizedIntegration(2)
    assert not np.any(layer(np.ones((3, 5), "float32"), np.zeros((N, WIDTH)), np.zeros(N)))


def dfei(**settings):
    model = ModelSettings(
        architecture="dfei",
        settings=settings,
        embedding_dim=3,
        plugin_settings={"dfei": {"k": 2}},
        unknown_domain_share=0,
    )
    built, rng = create_model(SPEC, model), np.random.default_rng(2)
    for weight in built.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    return built


def test_the_head_reads_both_towers_the_feature_and_what_is_taken_from_all():
    model, inputs = dfei(units=(4, 3), head_units=(2,), dropout=0.0), make_inputs()
    domain = inputs["channel"]
    e = model.embedding(inputs).numpy().reshape(ROWS, -1)
    s = u = e
    for kernel, bias in zip(model.shared.weights[::2], model.shared.weights[1::2], strict=True):
        s = relu(s @ kernel.numpy() + bias.numpy())
    for kernel, bias in zip(model.specific.kernels, model.specific.biases, strict=True):
        u = np.stack([relu(u[i] @ kernel.numpy()[d, 0] + bias.numpy()[d, 0]) for i, d in enumerate(domain)])
    known = [0, 1]
    before = {d: u[domain == d].mean(axis=0) for d in known}
    scaled = {name: 2 * array if name == "x" else array for name, array in inputs.items()}

    def answer(v):
        v = np.array([*v.values(), np.mean(list(v.values()), axis=0)])
        z = integrated(model.integration, e, v, np.array([1, 1, 0]))
        return tower(model.head, np.concatenate([s, u, v[domain], z], axis=1), domain)

    np.testing.assert_allclose(model(inputs, training=True), answer(before), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model(inputs, training=False), answer(before), rtol=1e-3, atol=1e-4)
    model(scaled, training=True)
    moved = {d: np.asarray(model.domain_features.v)[d] for d in known}
    assert np.abs(moved[0] - before[0]).max() > 1e-4
    np.testing.assert_allclose(model(inputs, training=False), answer(moved), rtol=1e-3, atol=1e-4)


def test_domains_that_were_never_there_read_the_mean_of_the_others():
    model, inputs = dfei(), make_inputs()
    inputs["channel"][:] = 1
    untrained = model({**inputs, "channel": np.full(ROWS, -1, "int32")})
    assert np.isfinite(untrained).all()
    model(inputs, training=True)
    one = {name: array[:1] for name, array in inputs.items()}
    answers = [model({**one, "channel": np.array([d], "int32")}).numpy() for d in (-1, 2, 7)]
    assert answers[0] == answers[1] == answers[2]
    _, _, own = model.domain_features(np.zeros((2, 32), "float32"), np.array([0, 2], "int32"))
    np.testing.assert_array_equal(own, np.asarray(model.domain_features.v)[[1, 1]])


def test_the_features_are_of_domains_where_groups_share_weights():
    settings = ModelSettings(architecture="dfei", domain_groups=1, unknown_domain_share=0)
    model, inputs = create_model(SPEC, settings), make_inputs()
    model(inputs, training=True)
    assert model.domain_features.v.shape == (3, 32)
    assert model.domain_features.seen.numpy().tolist() == [1, 1, 0]
    v = model.domain_features.v.numpy()
    assert np.abs(v[0] - v[1]).max() > 0


def test_what_the_history_is_told_are_the_features_that_are_there(monkeypatch):
    model, inputs = dfei(), make_inputs()
    assert model.figures() == {"dfei": {"domains": {}}}
    inputs["channel"][:] = [1] * 7 + [2]
    model(inputs, training=True)
    told = model.figures()["dfei"]["domains"]
    assert list(told) == ["sport"]
    np.testing.assert_allclose(told["sport"], model.domain_features.v.numpy()[1], atol=5.1e-5)
    np.testing.assert_allclose(told["sport"], model.domain_features.v.numpy()[1], rtol=5.1e-7)
    assert all(value == float(f"{value:.7g}") for value in told["sport"])
    model(make_inputs(), training=True)
    monkeypatch.setattr("models.plugins.dfei.MOST", 1)
    assert list(model.figures()["dfei"]["domains"]) == ["news"]


def test_a_batch_of_one_row_trains():
    model = build("dfei")
    steps = create_steps(model, RowAdam(0.01))
    one = {name: array[None, :1] for name, array in make_inputs().items()}
    assert np.isfinite(steps.train({**one, "label": np.ones((1, 1), "float32")})).all()
