"""SSCTL: weights of pseudo-labelled rows (Eq. 4) and scales of shared layers (Eq. 6-8) against NumPy."""

import keras
import numpy as np
import pytest
from conftest_papers import relu
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from models.layers.confidence import ConfidenceWeights
from models.layers.differentiation import Differentiated, DifferentiationNetwork
from models.layers.mlp import MLP, Experts


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def values(layer):
    """Give every weight its own random value."""
    rng = np.random.default_rng(3)
    for weight in layer.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def dn(network, x):
    """Eq. 7."""
    w1, b1, w2, b2 = (weight.numpy() for weight in network.weights)
    return network.delta * sigmoid(relu(x @ w1 + b1) @ w2 + b2)


def test_a_differentiation_network_scales_between_zero_and_delta():
    rng = np.random.default_rng(0)
    network = DifferentiationNetwork(4, 3, delta=1.5)
    x = rng.normal(size=(6, 5)).astype("float32")
    network(x)
    values(network)
    np.testing.assert_allclose(network(x), dn(network, x), rtol=1e-4)
    again = DifferentiationNetwork.from_config(network.get_config())
    assert (again.units, again.hidden, again.delta) == (4, 3, 1.5)


@pytest.fixture
def domains():
    rng = np.random.default_rng(1)
    return rng.normal(size=(6, 5)).astype("float32"), rng.normal(size=(6, 5)).astype("float32")


def test_every_layer_of_a_shared_network_is_scaled(domains):
    layer = Differentiated(MLP((4, 3)), lambda: domains, hidden=2)
    x = np.random.default_rng(2).normal(size=(6, 7)).astype("float32")
    layer(x)
    values(layer)
    h = x
    kernels = [weight.numpy() for weight in layer.layer.weights]
    for i, network in enumerate(layer.networks):
        gamma = np.sqrt(dn(network, domains[0]) * dn(network, domains[1]))
        h = gamma * relu(h @ kernels[2 * i] + kernels[2 * i + 1])  # Eq. 8
    np.testing.assert_allclose(layer(x), h, rtol=1e-4, atol=1e-6)


def test_every_expert_has_a_scale_of_its_own(domains):
    layer = Differentiated(Experts(2, (4, 3)), lambda: domains, hidden=2)
    x = np.random.default_rng(2).normal(size=(6, 7)).astype("float32")
    layer(x)
    values(layer)
    for expert in range(2):
        h = x
        for i, network in enumerate(layer.networks):
            gamma = np.sqrt(dn(network, domains[0]) * dn(network, domains[1])).reshape(6, 2, -1)[:, expert]
            kernel, bias = (w[i].numpy()[expert] for w in (layer.layer.kernels, layer.layer.biases))
            h = gamma * relu(h @ kernel + bias)
        np.testing.assert_allclose(layer(x)[:, expert], h, rtol=1e-4, atol=1e-6)


def test_a_network_that_cannot_be_scaled_is_named():
    with pytest.raises(ValueError, match="layers of Dense cannot be scaled"):
        Differentiated(keras.layers.Dense(3), lambda: None, hidden=2)


def test_weights_are_a_truncated_gaussian_whose_moments_follow_the_batches():
    layer = ConfidenceWeights(4, momentum=0.9)
    mu, variance = 0.25, 1.0  # 1/C and 1
    rng = np.random.default_rng(4)
    for _ in range(5):
        c, pseudo = rng.uniform(0.2, 1, 8).astype("float32"), rng.random(8) < 0.6
        c[~pseudo] = np.nan  # whatever it is
        found = layer(c, pseudo, training=True)
        mu = 0.9 * mu + 0.1 * c[pseudo].mean()
        variance = 0.9 * variance + 0.1 * c[pseudo].var()
        expected = np.where(c <= mu, np.exp(-((c - mu) ** 2) / (2 * variance)), 1.0)
        np.testing.assert_allclose(found, np.where(pseudo, expected, 1.0), rtol=1e-4)
        np.testing.assert_allclose([layer.mu, layer.variance], [mu, variance], rtol=1e-5)
    layer(np.zeros(3, "float32"), np.zeros(3, bool), training=True)  # without such rows
    layer(np.full(3, 0.9, "float32"), np.ones(3, bool), training=False)
    np.testing.assert_allclose([layer.mu, layer.variance], [mu, variance], rtol=1e-5)


def test_softmatch_divides_the_deviation():
    one, two = ConfidenceWeights(4), ConfidenceWeights(4, n_sigma=2.0)
    c, pseudo = np.array([0.1], "float32"), np.ones(1, bool)
    np.testing.assert_allclose(one(c, pseudo), np.exp(-(0.15**2) / 2), rtol=1e-5)
    np.testing.assert_allclose(two(c, pseudo), np.exp(-(0.15**2) / 2 * 4), rtol=1e-5)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
def test_weights_rise_with_confidence_and_stay_between_zero_and_one(confidences):
    layer = ConfidenceWeights(5, momentum=0.0)
    c = np.sort(np.array(confidences, "float32"))
    weights = ops.convert_to_numpy(layer(c, np.ones(len(c), bool), training=True))
    assert np.isfinite(weights).all() and ((weights >= 0) & (weights <= 1)).all()
    assert (np.diff(weights) >= -1e-6).all()
