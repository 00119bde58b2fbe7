"""STAR, SAR-Net, M2M and ADI against NumPy, from the built models' own weights."""

import numpy as np
import pytest
from conftest_papers import GROUPED_SPEC

from models.architectures.base import create_model
from models.settings import ModelSettings

ROWS, FIELDS, DIM = 9, 3, 4
DOMAIN = np.array([0, 1, 2, 2, 1, 0, 2, 0, 0], "int32")  # the unknown domain, 2, among them


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(1)
    return {
        "user": rng.integers(0, 9, ROWS).astype("int32"),
        "x": rng.normal(size=ROWS).astype("float32"),
        "item": rng.integers(0, 7, ROWS).astype("int32"),
        "channel": DOMAIN,
    }


def build(architecture, *plugins, **settings):
    """Build a small model, give every weight and running moment its own random value, and return it."""
    own = ModelSettings(architecture=architecture, settings=settings, plugins=plugins, embedding_dim=DIM)
    model = create_model(GROUPED_SPEC, own)
    rng = np.random.default_rng(2)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(scale=0.7, size=weight.shape))
    if hasattr(model, "norm"):
        model.norm.mean.assign(rng.normal(size=model.norm.mean.shape))
        model.norm.variance.assign(rng.uniform(0.5, 2, size=model.norm.variance.shape))
    return model


def rows(model, inputs):
    """Yield each row's fields without the domain `(fields, dim)`, the domain's embedding, and the domain."""
    for fields, d in zip(model.embedding(inputs).numpy().astype("float64"), DOMAIN, strict=True):
        yield fields[:-1], fields[-1], d


def values(layer):
    return [weight.numpy().astype("float64") for weight in layer.weights]


def relu(x):
    return np.maximum(x, 0)


def leaky_relu(x):
    return np.where(x > 0, x, 0.2 * x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


def dense(layer, x, *domain):
    """x W + b; with a domain, of that domain."""
    kernel, bias = (w.numpy().astype("float64")[domain] for w in (layer.kernel, layer.bias))
    return x @ kernel + bias


def mlp(weights, x):
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        x = relu(x @ kernel + bias)
    return x


def expert(layer, x, *index):
    """One expert of a stack: of `Experts` by its number, of `DomainExperts` by its domain and number."""
    pairs = zip(layer.kernels, layer.biases, strict=True)
    return mlp([w.numpy().astype("float64")[index] for pair in pairs for w in pair], x)


def normalised(norm, x, d):
    mean, variance = (w.numpy().astype("float64")[d] for w in (norm.mean, norm.variance))
    return (x - mean) / np.sqrt(variance + 1e-3)


def test_star(inputs):
    model = build("star", units=(5, 3), auxiliary_units=(4,))
    gamma_p, beta_p, gamma, beta = values(model.norm._scale)
    expected = []
    for e, s, p in rows(model, inputs):
        z = gamma * gamma_p[p] * normalised(model.norm, e.reshape(-1), p) + beta + beta_p[p]
        out = z
        layers = (*model.tower._hidden, model.tower._logit)
        for layer in layers:
            w, b, w_p, b_p = values(layer)
            out = out @ (w * w_p[p]) + (b + b_p[p])
            out = out if layer is layers[-1] else relu(out)
        s_a = dense(model.auxiliary_logit, mlp(values(model.auxiliary), np.concatenate([s, z])))
        expected.append(out[0] + s_a[0])
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4)


@pytest.mark.parametrize("plugins", [(), ("d3",)], ids=["alone", "with d3"])
def test_sar_net(inputs, plugins):
    sizes = {"attention_units": (6,), "n_domain_experts": 2, "n_shared_experts": 3, "expert_units": (5, 4)}
    model = build("sar_net", *plugins, **sizes)
    beta, gamma = values(model.transform)
    gates = np.array(model.d3_fusion(model.embedding(inputs))) if plugins else np.ones((ROWS, 2))
    expected = []
    for (e, s, d), g in zip(rows(model, inputs), gates, strict=True):
        joined = np.array([np.concatenate([e_i, s, e_i * s]) for e_i in e])
        a = sigmoid(dense(model.attention_score, mlp(values(model.attention), joined)))
        x = np.concatenate([(a * e).reshape(-1), s]) * beta[d] + gamma[d]
        f = [g[0] * expert(model.specific, x, d, i) for i in range(2)]  # g weighs them: D3, Eq. 13
        f += [g[1] * expert(model.shared, x, i) for i in range(3)]
        mixture = softmax(dense(model.gate, x, d)) @ np.array(f)
        expected.append(dense(model.logit, mixture)[0])
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4)


def test_m2m(inputs):
    sizes = {"n_experts": 3, "expert_units": (6, 4), "knowledge_units": (5,), "attention_units": 3}
    model = build("m2m", **sizes, n_tower_layers=2)

    def meta(layer, x, z):
        generator, base, bias = (
            w.numpy().astype("float64") for w in (layer.generator, layer.base, layer.bias)
        )
        return x @ (z @ generator + base).reshape(len(x), -1) + z @ bias

    v = values(model.scenario.attention._score)[0][:, 0]
    expected = []
    for e, s, _ in rows(model, inputs):
        x, z = np.concatenate([e.reshape(-1), s]), mlp(values(model.scenario.knowledge), s)
        experts = np.array([expert(model.experts, x, i) for i in range(3)])
        scores = [leaky_relu(meta(model.scenario.attention._meta, e_i, z)) @ v for e_i in experts]
        hidden = softmax(scores) @ experts
        for layer in model.scenario.tower._metas:
            hidden = leaky_relu(meta(layer, hidden, z) + hidden)
        expected.append(dense(model.scenario.tower._logit, hidden)[0])
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4)


def test_adi(inputs):
    model = build("adi", units=(5, 4), adaptation_units=6, tower_units=(3,))
    gamma_d, beta_d = values(model.norm._scale)
    expected = []
    for e, s, d in rows(model, inputs):
        a = sigmoid(dense(model.excite, relu(dense(model.squeeze, e.mean(1), d)), d))
        x = normalised(model.norm, (e * a[:, None]).reshape(-1), d) * gamma_d[d] + beta_d[d]
        b_1, b_2 = np.split(sigmoid(dense(model.scenario.fusion, s)), 2)
        own, shared = (
            b_1 * expert(model.scenario.specific, x, d, 0),
            b_2 * mlp(values(model.scenario.shared), x),
        )
        hidden = np.concatenate([own, own * shared, shared])
        for layer in model.tower._hidden:
            hidden = relu(dense(layer, hidden, d))
        expected.append(dense(model.tower._logit, hidden, d)[0])
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4)


def test_running_moments_are_learned_in_training_and_used_afterwards(inputs):
    model = create_model(GROUPED_SPEC, ModelSettings(architecture="star", embedding_dim=DIM))
    before = np.array(model(inputs))
    fields = model.embedding(inputs).numpy()[:, :-1].reshape(ROWS, -1)
    model(inputs, training=True)
    for d in range(3):
        own = fields[d == DOMAIN]  # and one row of mean 0, with which the running moments begin
        np.testing.assert_allclose(model.norm.mean[d], own.sum(0) / (len(own) + 1), atol=1e-6)
    assert np.abs(model(inputs) - before).max() > 1e-3
