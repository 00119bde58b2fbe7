"""The layers of PEPNet, AdaSparse, HiNet, ADL and HAMUR against NumPy."""

import numpy as np
import pytest

from models.layers.adapter import HyperAdapter
from models.layers.clusters import ClusterRouter
from models.layers.gate_nu import GatedMLP, GateNU
from models.layers.pruner import DomainPruner
from models.layers.sub_experts import SubExpertIntegration

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 3)).astype("float32")
C = RNG.normal(size=(7, 5)).astype("float32")  # what a gate, a pruner or an adapter knows of the rows
DOMAIN = np.array([0, 1, 2, 2, 1, 0, 2], "int32")


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def randomise(layer):
    """Give every trainable weight its own random value, so that no two parts of a layer look alike."""
    for weight in layer.trainable_weights:
        weight.assign(RNG.normal(size=weight.shape))


def values(layer):
    return [weight.numpy() for weight in layer.trainable_weights]


def test_gate_nu_by_hand(check_layer):
    layer = GateNU()
    check_layer(layer, X, C, expected_shape=(7, 3))
    randomise(layer)
    w, b, w_, b_ = values(layer)
    np.testing.assert_allclose(layer(X, C), X * 2 * sigmoid(relu(C @ w + b) @ w_ + b_), rtol=1e-5)


def test_gated_mlp_scales_the_units_of_every_layer(check_layer):
    layer = GatedMLP((4, 2))
    check_layer(layer, X, C, expected_shape=(7, 2))
    randomise(layer)
    expected = X
    for i in range(2):
        (k, bias), (w, b, w_, b_) = values(layer._hidden[i]), values(layer._gates[i])
        expected = relu(expected @ k + bias) * 2 * sigmoid(relu(C @ w + b) @ w_ + b_)
    np.testing.assert_allclose(layer(X, C), expected, rtol=1e-4)
    dropped = GatedMLP((50,), dropout=0.5)
    assert (dropped(X, C, training=True).numpy() == 0).mean() > (dropped(X, C).numpy() == 0).mean() + 0.1


def test_pruner_without_threshold_scales_only():
    layer = DomainPruner("scaling", beta=3.0)
    layer(X, C)
    randomise(layer)
    (kernel,) = values(layer)
    expected = X * 3 * sigmoid(np.hstack([C, X]) @ kernel)
    np.testing.assert_allclose(layer(X, C), expected, rtol=1e-5)
    layer(X, C, training=True)
    assert layer.losses == []


@pytest.mark.parametrize(("factors", "beta"), [("binarization", 1.0), ("fusion", 3.0)])
def test_pruner_cuts_units_below_the_threshold(check_layer, factors, beta):
    layer = DomainPruner(factors, beta=3.0, epsilon=0.4, alpha=2.0)
    check_layer(layer, X, C, expected_shape=(7, 3))
    randomise(layer)
    (kernel,) = values(layer)
    s = sigmoid(2 * np.hstack([C, X]) @ kernel)
    assert 0 < (s > 0.4).mean() < 1
    np.testing.assert_allclose(layer(X, C), X * beta * np.where(s > 0.4, s, 0), rtol=1e-5)


def test_pruner_s_slope_grows_in_training_up_to_its_limit():
    layer = DomainPruner(alpha=1.0, alpha_step=0.3, alpha_limit=1.5)
    for training, expected in ((False, 1.0), (True, 1.3), (True, 1.5), (True, 1.5), (False, 1.5)):
        layer(X, C, training=training)
        assert float(layer.slope) == pytest.approx(expected)


def test_pruner_s_loss_is_of_the_rows_outside_of_the_bounds():
    layer = DomainPruner(epsilon=0.4, alpha=2.0, least=0.3, most=0.5, penalty=0.1)
    layer(X, C)
    randomise(layer)
    (kernel,) = values(layer)
    s = sigmoid(2 * np.hstack([C, X]) @ kernel)
    pruned = 1 - np.where(s > 0.4, s, 0).mean(axis=1)
    outside = (pruned < 0.3) | (pruned > 0.5)
    assert 0 < outside.sum() < 7
    layer(X, C, training=True)
    np.testing.assert_allclose(layer.losses, [0.1 * np.mean(outside * np.abs(pruned - 0.4))], rtol=1e-5)


def test_sub_experts_are_mixed_within_their_expert(check_layer):
    layer = SubExpertIntegration(2, 3, (6, 4))
    check_layer(layer, X, expected_shape=(7, 2, 4))
    randomise(layer)
    k1, b1, k2, b2 = values(layer._sub_experts)
    (w,) = values(layer._gate)
    for i in range(2):
        own = range(3 * i, 3 * i + 3)
        gate = softmax(X @ w[:, own])
        parts = [relu(relu(X @ k1[q] + b1[q]) @ k2[q] + b2[q]) for q in own]
        expected = sum(gate[:, [k]] * part for k, part in enumerate(parts))
        np.testing.assert_allclose(layer(X)[:, i], expected, rtol=1e-4, atol=1e-5)


def test_centres_begin_at_right_angles():
    layer = ClusterRouter(4)
    layer.build((None, 20))
    centres = layer.centres.numpy()
    np.testing.assert_allclose(centres @ centres.T, np.eye(4), atol=1e-5)


def test_centres_follow_the_rows_in_training_only(check_layer):
    layer = ClusterRouter(3, n_rounds=2, decay=0.8, temperature=0.5)
    check_layer(layer, X, expected_shape=(7, 3))
    centres, x = layer.centres.numpy(), unit(X)
    np.testing.assert_allclose(layer(X), softmax(x @ centres.T / 0.5), rtol=1e-5)
    np.testing.assert_array_equal(layer.centres, centres)
    drawn = centres
    for _ in range(2):
        drawn = unit(softmax(x @ drawn.T / 0.5).T @ x)
    moved = unit(0.8 * centres + 0.2 * drawn)
    np.testing.assert_allclose(layer(X, training=True), softmax(x @ moved.T / 0.5), rtol=1e-4)
    np.testing.assert_allclose(layer.centres, moved, rtol=1e-4, atol=1e-6)


def test_centres_stay_finite_and_of_unit_length_whatever_the_batch():
    layer = ClusterRouter(3)
    for batch in (X[:1], np.zeros((4, 3), "float32"), 1e6 * X, 1e-6 * X):
        coefficients = layer(batch, training=True).numpy()
        np.testing.assert_allclose(coefficients.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(layer.centres, axis=1), 1, rtol=1e-5)


def test_small_embeddings_find_their_clusters():
    """Fresh embeddings of 10 fields are near to 0; their centres must not become one."""
    tables = RNG.normal(scale=0.01, size=(10, 50, 16))
    layer = ClusterRouter(3)
    for _ in range(150):
        index = RNG.zipf(1.5, size=(256, 10)).clip(1, 50) - 1
        batch = np.stack([tables[f, index[:, f]] for f in range(10)], axis=1).reshape(256, 160)
        coefficients = layer(batch.astype("float32"), training=True).numpy()
    centres = layer.centres.numpy()
    assert (centres @ centres.T)[np.triu_indices(3, 1)].max() < 0.95
    assert (np.bincount(coefficients.argmax(axis=1), minlength=3) > 10).all()


def test_hyper_adapter_by_hand(check_layer):
    layer = HyperAdapter(4, units=6, rank=2)
    check_layer(layer, X, C, DOMAIN, expected_shape=(7, 3))
    randomise(layer)
    mean, variance = RNG.normal(size=(4, 3)), RNG.uniform(0.5, 2, size=(4, 3))
    layer._norm.mean.assign(mean)
    layer._norm.variance.assign(variance)
    gamma, beta = values(layer._norm)

    def generated(part, x, z):
        w = {weight.path.split("/")[-1]: weight.numpy() for weight in part.weights}
        inner = (z @ w["generator"] + w["base"]).reshape(2, 2)
        return x @ w["left"] @ inner @ w["right"] + z @ w["bias"]

    for i, d in enumerate(DOMAIN):
        change = generated(layer._up, sigmoid(generated(layer._down, X[i], C[i])), C[i])
        normal = (change - mean[d]) / np.sqrt(variance[d] + layer._norm.epsilon)
        expected = X[i] + gamma[d] * normal + beta[d]
        np.testing.assert_allclose(layer(X, C, DOMAIN)[i], expected, rtol=1e-3, atol=1e-4)


def test_hyper_adapter_learns_the_moments_of_each_domain():
    layer = HyperAdapter(4, units=6, rank=2)
    before = [state.numpy() for state in (layer(X, C, DOMAIN), *layer.non_trainable_weights)]
    layer(X, C, DOMAIN, training=True)
    after = [state.numpy() for state in (layer(X, C, DOMAIN), *layer.non_trainable_weights)]
    assert all(np.isfinite(values).all() for values in after)
    assert not np.allclose(before[0], after[0])
    for old, new in zip(before[1:], after[1:], strict=True):
        assert (old[:3] != new[:3]).all()
        np.testing.assert_array_equal(old[3], new[3])  # no row is of the last domain
