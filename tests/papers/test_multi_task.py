"""CGC (Eq. 1-4), PLE (Eq. 5-6), AITM (Eq. 3-7) and HMoE against NumPy, from the built models' own weights."""

import numpy as np
import pytest
import tensorflow as tf

from models.architectures.base import create_model
from models.features import FeatureSpec, InputField
from models.settings import ModelSettings

SPEC = FeatureSpec(
    fields=(InputField(name="user", kind="categorical", size=9), InputField(name="x", kind="numeric")),
    domain="channel",
    domains=("news", "sport"),
)
ROWS = 9
DOMAIN = np.array([0, 1, 2, 2, 1, 0, 2, 0, 0], "int32")  # the unknown domain, 2, among them


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(1)
    return {
        "user": rng.integers(0, 9, ROWS).astype("int32"),
        "x": rng.normal(size=ROWS).astype("float32"),
        "channel": DOMAIN,
    }


def build(architecture, **settings):
    """Build a small model, give every weight its own random value, and return it."""
    model = create_model(SPEC, ModelSettings(architecture=architecture, settings=settings, embedding_dim=3))
    rng = np.random.default_rng(2)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(scale=0.7, size=weight.shape))
    return model


def embedded(model, inputs):
    return model.embedding(inputs).numpy().reshape(ROWS, -1).astype("float64")


def values(layer):
    return [weight.numpy().astype("float64") for weight in layer.weights]


def relu(x):
    return np.maximum(x, 0)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def dense(layer, x):
    kernel, bias = values(layer)
    return x @ kernel + bias


def mlp(weights, x):
    """Dense layers with ReLU; `weights` are kernel and bias in turn."""
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        x = relu(x @ kernel + bias)
    return x


def expert(layer, x, *index):
    """One expert of a stack: of `Experts` by its number, of `DomainExperts` by its domain and number."""
    kernels, biases = layer.kernels, layer.biases
    pairs = zip(kernels, biases, strict=True)
    return mlp([w.numpy().astype("float64")[index] for pair in pairs for w in pair], x)


def tower(layer, x, d):
    k1, b1, k2, b2 = (w[d] for w in values(layer))
    return (relu(x @ k1 + b1) @ k2 + b2)[0]


def test_cgc(inputs):
    model = build("cgc", n_domain_experts=2, n_shared_experts=3, expert_units=(5, 4), tower_units=(3,))
    w_g, b_g = values(model.gate)
    expected = []
    for x, d in zip(embedded(model, inputs), DOMAIN, strict=True):
        s = [expert(model.specific, x, d, i) for i in range(2)]
        s += [expert(model.shared, x, i) for i in range(3)]
        expected.append(tower(model.tower, softmax(x @ w_g[d] + b_g[d]) @ np.array(s), d))
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4)


def test_ple_of_three_levels(inputs):
    model = build("ple", n_domain_experts=1, n_shared_experts=2, expert_units=(5, 4, 6), tower_units=(3,))
    assert len(model.gates) == 3 and len(model.shared_gates) == 2
    expected = []
    for x, d in zip(embedded(model, inputs), DOMAIN, strict=True):
        own = shared = x
        for level in range(3):
            s = [expert(model.specific[level], own, d, 0)]
            s = np.array(s + [expert(model.shared[level], shared, i) for i in range(2)])
            w_g, b_g = values(model.gates[level])
            own = softmax(own @ w_g[d] + b_g[d]) @ s
            if level < 2:
                shared = softmax(dense(model.shared_gates[level], shared)) @ s
        expected.append(tower(model.tower, own, d))
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4)


def test_ple_of_one_level_is_cgc_with_experts_of_one_layer(inputs):
    settings = {"n_domain_experts": 2, "n_shared_experts": 2, "expert_units": (4,), "tower_units": (3,)}
    cgc, ple = build("cgc", **settings), build("ple", **settings)
    pairs = [(cgc.embedding, ple.embedding), (cgc.specific, ple.specific[0]), (cgc.shared, ple.shared[0])]
    for here, there in [*pairs, (cgc.gate, ple.gates[0]), (cgc.tower, ple.tower)]:
        there.set_weights(here.get_weights())
    np.testing.assert_allclose(cgc(inputs), ple(inputs), rtol=1e-5)


def test_aitm(inputs):
    model = build("aitm", units=(5, 4), tower_units=(3,))
    expected = []
    for x, d in zip(embedded(model, inputs), DOMAIN, strict=True):
        p = relu(dense(model.transfer, mlp(values(model.shared), x)))
        q = expert(model.specific, x, d, 0)
        u = np.array([p, q])
        scores = np.sum(dense(model.key, u) * dense(model.query, u), axis=1) / np.sqrt(4)
        z = softmax(scores) @ dense(model.value, u)
        expected.append(tower(model.tower, z, d))
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4)


HMOE = {"n_experts": 3, "expert_units": (5, 4), "tower_units": (3,)}


def test_hmoe(inputs):
    model = build("hmoe", **HMOE)
    expected = []
    for x in embedded(model, inputs):
        f = np.array([expert(model.experts, x, i) for i in range(3)])
        mixture = softmax(dense(model.gate, x)) @ f
        scores = [tower(model.tower, mixture, j) for j in range(3)]
        expected.append(softmax(dense(model.label_gate, x)) @ scores)
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4)


def test_hmoe_passes_the_gradient_of_a_row_to_its_own_tower_only(inputs):
    model = build("hmoe", **HMOE)
    first = {name: array[:1] for name, array in inputs.items()}  # of domain 0
    with tf.GradientTape() as tape:
        logit = model(first)
    bias, gate = model.tower.weights[-1], model.label_gate.kernel
    of_bias, of_gate = tape.gradient(logit, [bias.value, gate.value])
    of_bias = tf.convert_to_tensor(of_bias).numpy()[:, 0]
    weights = softmax(dense(model.label_gate, embedded(model, inputs)[0]))
    np.testing.assert_allclose(of_bias, [weights[0], 0, 0], rtol=1e-4)
    assert np.any(of_gate.numpy() != 0, axis=0).all()  # the gate learns from all scores
