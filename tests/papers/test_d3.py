"""D3: division (Eq. 6-10), modelling (Eq. 11-14) and balance (Eq. 15-19), against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest_papers import random_weights

from models.layers.domain_balance import DomainBalance
from models.layers.domain_fusion import DomainFusion
from models.layers.domain_means import DomainMeans
from models.layers.feature_selection import DomainSensitiveFeatureSelection
from models.layers.star import FusedStarTower, StarTower
from models.layers.transformation import TransformationLayer

BATCH, FIELDS, DIM = 6, 4, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH, FIELDS, DIM)).astype("float32")
IN = RNG.normal(size=(BATCH, 5)).astype("float32")
GATES = np.stack([(g := RNG.uniform(0.2, 0.8, BATCH)), 1 - g], axis=1).astype("float32")


def relu(x):
    return np.maximum(x, 0)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def gradients(layer, *inputs):
    with tf.GradientTape() as tape:
        outputs = layer(*inputs)
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        total = tf.reduce_sum(tf.sin(first))
    return tape.gradient(total, [weight.value for weight in layer.trainable_variables])


def test_fields_are_selected_by_attention_among_them():
    layer = DomainSensitiveFeatureSelection()
    layer(X)
    random_weights(layer)
    selected, attention = layer(X)
    unit = X / np.linalg.norm(X, axis=2, keepdims=True)
    q, k = unit @ layer.query.numpy(), unit @ layer.key.numpy()
    a = softmax(q @ k.transpose(0, 2, 1))
    np.testing.assert_allclose(attention, a, rtol=1e-4)
    np.testing.assert_allclose(selected, a @ X + X, rtol=1e-4, atol=1e-6)
    for gradient in gradients(layer, X):
        assert np.all(np.abs(gradient) > 0)


def test_attention_tells_small_embeddings_apart_and_bears_a_field_of_zeros():
    layer = DomainSensitiveFeatureSelection()
    small = 0.01 * X  # as embeddings begin
    small[:, 0] = 0  # a number that is 0
    layer(small)
    random_weights(layer)
    attention = layer(small)[1].numpy()
    assert attention[:, 1:].std() > 0.1
    np.testing.assert_allclose(attention[:, 0], 1 / FIELDS, rtol=1e-5)
    fields = tf.convert_to_tensor(small)
    with tf.GradientTape() as tape:
        tape.watch(fields)
        total = tf.reduce_sum(tf.sin(layer(fields)[0]))
    assert np.all(np.isfinite(tape.gradient(total, fields)))


def test_the_gate_is_a_softmax_over_two():
    layer = DomainFusion(5)
    np.testing.assert_allclose(layer(0.01 * X), 0.5, atol=0.02)  # of embeddings as they begin
    random_weights(layer)
    w1, b1, w2, b2 = (weight.numpy() for weight in layer.weights)
    np.testing.assert_allclose(layer(X), softmax(relu(X.reshape(BATCH, -1) @ w1 + b1) @ w2 + b2), rtol=1e-4)


def known(layer):
    """sigma(H + sigma(H W1 + b1)) of Eq. 9-10."""
    kernel, bias = layer.field_kernel.numpy(), layer.field_bias.numpy()
    h = np.concatenate([X[:, j] @ kernel[j] + bias[j] for j in range(FIELDS)], axis=1)
    return relu(h + relu(h @ layer.inner_kernel.numpy() + layer.inner_bias.numpy()))


def transformed(layer, w_dfs2, gates):
    """Eq. 10, 13 and 14, row by row."""
    rows = []
    for x, r, g in zip(IN, known(layer), GATES, strict=True):
        w = np.einsum("h,hio->io", r, w_dfs2) + layer.base.numpy()
        b = r @ layer.bias_generator.numpy() + layer.bias_base.numpy()
        if gates:
            w = (g[0] * w) * (g[1] * layer.shared_kernel.numpy())
            b = (g[0] * b) * (g[1] * layer.shared_bias.numpy())
        rows.append(relu(x @ w + b))
    return rows


@pytest.mark.parametrize("gates", [(GATES,), ()], ids=["fused", "specific"])
def test_every_row_has_weights_and_a_bias_of_its_own(gates):
    layer = TransformationLayer(7, hidden=2, rank=None)
    layer(IN, X, *gates)
    random_weights(layer)
    w_dfs2 = layer.generator.numpy().reshape(-1, 5, 7)
    np.testing.assert_allclose(layer(IN, X, *gates), transformed(layer, w_dfs2, gates), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("gates", [(GATES,), ()], ids=["fused", "specific"])
def test_low_rank_is_exact_for_a_generator_of_that_rank(gates):
    low, exact = TransformationLayer(7, hidden=2, rank=3), TransformationLayer(7, hidden=2, rank=None)
    for layer in (low, exact):
        layer(IN, X, *gates)
    random_weights(low)
    w_dfs2 = np.einsum("hr,iro->hio", low.scores.numpy(), low.basis.numpy())
    exact.generator.assign(w_dfs2.reshape(8, 35))
    shared = {weight.name: weight for weight in low.weights}
    for weight in exact.weights:
        if weight.name != "generator":
            weight.assign(shared[weight.name])
    np.testing.assert_allclose(low(IN, X, *gates), exact(IN, X, *gates), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(low(IN, X, *gates), transformed(low, w_dfs2, gates), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("gates", [(np.ones((500, 2), "float32"),), ()], ids=["fused", "specific"])
def test_both_forms_draw_what_a_row_adds_on_the_same_scale(gates):
    keras.utils.set_random_seed(4)
    x, fields = (RNG.normal(size=shape).astype("float32") for shape in ((500, 30), (500, 8, 16)))
    spread = []
    for rank in (8, None):
        layer = TransformationLayer(20, rank=rank, activation=None)
        before = layer(x, fields, *gates)
        layer.base.assign(0 * layer.base)
        layer.bias_base.assign(0 * layer.bias_base)
        assert not np.allclose(before, layer(x, fields, *gates))
        spread.append(np.std(layer(x, fields, *gates)))
    assert spread[0] == pytest.approx(spread[1], rel=0.2)


@pytest.mark.parametrize("rank", [2, None])
def test_a_generated_layer_begins_as_an_ordinary_one_and_trains_every_weight(rank):
    x, fields, halves = (
        RNG.normal(size=(500, 30)),
        0.01 * RNG.normal(size=(500, 4, 3)),
        np.full((500, 2), 0.5),
    )
    rows = [array.astype("float32") for array in (x, fields, halves)]
    deviation = np.std(rows[0] @ np.random.default_rng(0).uniform(-1, 1, (30, 20)) * (6 / 50) ** 0.5)
    for gates in (rows[2:], []):
        layer = TransformationLayer(20, hidden=2, rank=rank, activation=None)
        assert np.std(layer(*rows[:2], *gates)) == pytest.approx(deviation, rel=0.15)
        random_weights(layer)
        found = gradients(layer, *rows[:2], *gates)
        for weight, gradient in zip(layer.trainable_variables, found, strict=True):
            assert np.any(gradient != 0), weight.path
    again = TransformationLayer.from_config(layer.get_config())
    assert (again.units, again.hidden, again.rank) == (20, 2, rank)


def test_a_fused_star_weighs_both_parts_and_begins_as_the_plain_one():
    domain = np.array([0, 1, 2, 2, 1, 0], "int32")
    plain, fused = StarTower(3, (4,)), FusedStarTower(3, (4,))
    plain(IN, domain)
    fused(IN, domain, gates=GATES)
    for one, other in zip(plain.weights, fused.weights, strict=True):
        if one.name == "shared_kernel":
            other.assign(one)
    np.testing.assert_allclose(
        fused(IN, domain, gates=np.full((6, 2), 0.5, "float32")), plain(IN, domain), rtol=1e-4
    )
    random_weights(fused)
    expected = []
    for x, d, (g_sp, g_sh) in zip(IN, domain, GATES, strict=True):
        for layer in (*fused._hidden, fused._logit):
            w, b = layer.shared_kernel.numpy(), layer.shared_bias.numpy()
            w_d, b_d = layer.kernel.numpy()[d], layer.bias.numpy()[d]
            x = x @ ((g_sp * w_d) * (g_sh * w)) + g_sp * b_d + g_sh * b
            x = x if layer is fused._logit else relu(x)
        expected.append(x[0])
    np.testing.assert_allclose(fused(IN, domain, gates=GATES), expected, rtol=1e-4, atol=1e-6)


def attentions(rows=6, n=4):
    return softmax(np.random.default_rng(5).normal(scale=2, size=(rows, n, n))).astype("float32")


def test_weights_follow_entropy_and_specificity():
    layer, a = DomainBalance(shift=0.3, scale=0.8), attentions()
    layer.build()
    c = -(a * np.log(a)).sum((1, 2)) / 4
    spread = np.clip((c - c.mean()) / (2 * c.std()) + 0.5, 0.1, 1.0)
    assert spread.min() == 0.1 and len(set(spread)) > 3  # both the clip and what is between
    w_cpl, w_spf = layer.complexity(a), layer.specificity(GATES)
    np.testing.assert_allclose(w_cpl, 0.3 + 0.8 * spread, rtol=1e-4)
    np.testing.assert_allclose(w_spf, 0.3 + 0.8 * GATES[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(layer(w_cpl, w_spf), np.ones(6))  # until they are on
    layer.on.assign(1.0)
    np.testing.assert_allclose(layer(w_cpl, w_spf), w_cpl * w_spf, rtol=1e-5)


def test_weights_are_constants_to_the_gradient():
    layer = DomainBalance()
    layer.build()
    a, g = tf.constant(attentions()), tf.constant(GATES)
    with tf.GradientTape() as tape:
        tape.watch([a, g])
        total = tf.reduce_sum(layer.complexity(a) * layer.specificity(g))
    assert tape.gradient(total, [a, g]) == [None, None]


@pytest.mark.parametrize(
    "a",
    [attentions(1), np.ones((5, 1, 1), "float32"), np.repeat(attentions(1), 7, 0)],
    ids=["row", "field", "equal"],
)
def test_without_a_spread_every_row_weighs_the_same(a):
    np.testing.assert_allclose(DomainBalance().complexity(a), 0.5 + 0.5, rtol=1e-6)
    np.testing.assert_allclose(DomainBalance().complexity(np.zeros((3, 2, 2), "float32") + np.eye(2)), 1.0)


def test_means_are_those_of_all_rows_of_a_domain_since_the_last_restart():
    layer = DomainMeans(4, 2)
    layer.build()
    assert not layer.means.numpy().any() and not layer.rows.numpy().any()
    for batches in ([[0, 0, 3, 0], [0, 3, 3, 3], [1, 1, 1, 1]], [[2, 2], [0, 2]]):
        layer.restart()
        values = [RNG.normal(size=(len(domain), 2)).astype("float32") for domain in batches]
        for domain, own in zip(batches, values, strict=True):
            layer.update(own, np.array(domain, "int32"))
        values, domain = np.concatenate(values), np.concatenate(batches)
        np.testing.assert_array_equal(layer.rows[:, 0], np.bincount(domain, minlength=4))
        for d in range(4):
            expected = values[domain == d].mean(0) if np.any(domain == d) else np.zeros(2)
            np.testing.assert_allclose(layer.means[d], expected, rtol=1e-4, atol=1e-6)
