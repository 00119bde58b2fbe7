"""SSCTL: backbone (Eq. 1-2), rows with pseudo-domains (Eq. 4-5) and scales (Eq. 6-8), against NumPy."""

import keras
import numpy as np
import pytest
from conftest_papers import ROWS, make_inputs, relu
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from models.architectures.base import create_model
from models.features import FeatureSpec, InputField
from models.layers.confidence import ConfidenceWeights
from models.layers.differentiation import Differentiated, DifferentiationNetwork
from models.layers.domain_classifier import DomainClassifier
from models.layers.mlp import MLP, Experts
from models.pseudo import CONFIDENCE
from models.settings import ModelSettings


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


SPEC = FeatureSpec(
    fields=(
        InputField(name="user", kind="categorical", size=9),
        InputField(name="x", kind="numeric", group="context"),
        InputField(name="owner", kind="categorical", size=4, group="domain"),
    ),
    domain="channel",
    domains=("news", "sport", "music"),
)


def inputs():
    rng = np.random.default_rng(7)
    owner = rng.integers(0, 4, ROWS).astype("int32")
    return make_inputs() | {"owner": owner, "channel": rng.integers(0, 4, ROWS).astype("int32")}


def built(architecture, **settings):
    classifier = DomainClassifier(SPEC, (1,), (4,), 2)
    classifier(inputs())
    values(classifier)
    classifier.trainable = False
    own = {"sddn": {"hidden": 2}} if architecture == "ssctl" else {}
    model = ModelSettings(
        architecture=architecture,
        settings=settings,
        embedding_dim=3,
        plugin_settings=own,
        unknown_domain_share=0,
    )
    return values(create_model(SPEC, model, classifier=classifier))


def scaled(wrapped, x, e_d, e_w):
    """A shared network by Eq. 8, `(batch, experts, units)`."""
    outputs = []
    n = wrapped.experts
    for expert in range(n):
        h = x
        for i, network in enumerate(wrapped.networks):
            gamma = np.sqrt(dn(network, e_d) * dn(network, e_w)).reshape(len(x), n, -1)[:, expert]
            if n > 1:
                kernel, bias = (
                    wrapped.layer.kernels[i].numpy()[expert],
                    wrapped.layer.biases[i].numpy()[expert],
                )
            else:
                kernel, bias = (weight.numpy() for weight in wrapped.layer.weights[2 * i : 2 * i + 2])
            h = gamma * relu(h @ kernel + bias)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def test_ssctl_joins_scaled_shared_experts_with_the_domain_s_own():
    model, rows = (
        built("ssctl", n_experts=2, expert_units=(4, 3), gate_units=(3,), tower_units=(2,)),
        inputs(),
    )
    fields = model.embedding(rows).numpy()  # user, x, owner, domain
    domain = rows["channel"]
    r_e, r_g = fields[:, :2].reshape(ROWS, -1), fields[:, 1:].reshape(ROWS, -1)
    p = model.classifier.probabilities(rows).numpy()  # of the domains 0 and 2
    table = model.embedding.table.numpy()
    domains = table[-4:]  # the domains' embeddings are the last rows, the unknown one last
    e_d, e_w = fields[:, 3], p @ domains[[0, 2]]  # Eq. 6
    h = scaled(model.shared, r_e, e_d, e_w)
    s = r_e
    for kernel, bias in zip(model.specific.kernels, model.specific.biases, strict=True):
        s = np.stack([relu(s[i] @ kernel.numpy()[d, 0] + bias.numpy()[d, 0]) for i, d in enumerate(domain)])
    w1, b1 = (weight.numpy() for weight in model.gate.weights)
    w2, b2 = (weight.numpy() for weight in model.weights_of_experts.weights)
    scores = relu(r_g @ w1 + b1) @ w2 + b2
    w = np.exp(scores - scores.max(1, keepdims=True))
    w /= w.sum(1, keepdims=True)
    z = np.concatenate([np.einsum("be,bek->bk", w, h), s], axis=1)  # Eq. 2
    tower = scaled(model.tower, z, e_d, e_w)[:, 0]
    kernel, bias = (weight.numpy() for weight in model.logit.weights)
    np.testing.assert_allclose(model(rows), (tower @ kernel + bias)[:, 0], rtol=1e-3, atol=1e-4)


def test_rows_with_a_pseudo_domain_count_lambda_times_their_weight():
    model, rows = built("ssctl"), inputs()
    c = np.array([0, 0.2, 0.9, 0, 0.6, 0.4, 0, 1.0], "float32")
    losses = np.arange(1.0, 9.0, dtype="float32")
    mu, variance = 0.999 * 0.5 + 0.001 * c[c > 0].mean(), 0.999 + 0.001 * c[c > 0].var()
    w = np.where(c <= mu, np.exp(-((c - mu) ** 2) / (2 * variance)), 1.0)
    expected = losses * np.where(c > 0, 0.7 * w, 1.0)  # Eq. 5
    np.testing.assert_allclose(model.weigh(losses, rows | {CONFIDENCE: c}), expected, rtol=1e-5)


@pytest.mark.parametrize("architecture", ["shared_bottom", "mmoe", "ple", "cgc", "aread"])
def test_sddn_scales_the_shared_layers_of_other_architectures(architecture):
    classifier = DomainClassifier(SPEC, (1,), (4,), 2)
    plain, scaled = (
        create_model(
            SPEC, ModelSettings(architecture=architecture, plugins=plugins, embedding_dim=3), 0.0, classifier
        )
        for plugins in ((), ("sddn",))
    )
    assert len(scaled.trainable_variables) > len(plain.trainable_variables)
    before = scaled.probabilities(scaled(inputs())).numpy()
    for layer in scaled._flatten_layers():
        if isinstance(layer, DifferentiationNetwork):
            layer.delta *= 3.0
    assert np.abs(scaled.probabilities(scaled(inputs())).numpy() - before).max() > 1e-5


def test_without_a_classifier_the_plug_ins_say_what_is_missing():
    for plugin in ("sddn", "isct"):
        with pytest.raises(ValueError, match=f"{plugin} needs the domain classifier"):
            create_model(SPEC, ModelSettings(architecture="cgc", plugins=(plugin,)))
