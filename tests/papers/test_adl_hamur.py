"""ADL and HAMUR against NumPy, from the built models' own weights and state."""

import numpy as np
import pytest
from conftest_papers import ROWS, build, make_inputs, relu


@pytest.fixture(scope="module")
def inputs():
    return make_inputs()


def values(layer):
    return [weight.numpy() for weight in layer.weights]


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def star_network(layers, x, cluster):
    """x (W * W_c) + b + b_c, layer by layer, with the cluster of each row."""
    for layer in layers:
        w, b, w_c, b_c = (
            weight.numpy() for weight in (layer.shared_kernel, layer.shared_bias, layer.kernel, layer.bias)
        )
        x = np.stack([x[i] @ (w * w_c[c]) + b + b_c[c] for i, c in enumerate(cluster)])
        x = x if layer is layers[-1] else relu(x)
    return x[:, 0]


def test_adl(inputs):
    model = build("adl", n_clusters=3, units=(4, 3), n_rounds=2, decay=0.7, temperature=0.3, dropout=0.0)
    x = model.embedding(inputs).numpy().reshape(ROWS, -1)
    layers = [*model.networks._hidden, model.networks._logit]
    centres = unit(x[:3] + np.random.default_rng(5).normal(scale=0.5, size=(3, x.shape[1])))
    model.router.centres.assign(centres)
    cluster = (unit(x) @ centres.T).argmax(axis=1)
    assert set(cluster) == {0, 1, 2}
    np.testing.assert_allclose(model(inputs), star_network(layers, x, cluster), rtol=1e-4, atol=1e-4)
    drawn = centres
    for _ in range(2):
        r = np.exp(unit(x) @ drawn.T / 0.3)
        drawn = unit((r / r.sum(axis=1, keepdims=True)).T @ unit(x))
    moved = unit(0.7 * centres + 0.3 * drawn)
    cluster = (unit(x) @ moved.T).argmax(axis=1)
    model._hidden_share = 0.0
    got = model(inputs, training=True)
    np.testing.assert_allclose(got, star_network(layers, x, cluster), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.router.centres, moved, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(model(inputs), got)  # inference goes by the centres that training left


def test_hamur(inputs):
    model = build("hamur", units=(5, 4), hyper_units=(6,), rank=2, adapter_units=3)
    rng = np.random.default_rng(5)
    x, domain = model.embedding(inputs).numpy().reshape(ROWS, -1), inputs["channel"]
    k, b = values(model.hyper)
    z = relu(x @ k + b)

    def generated(part, x):
        """x A M(z) B + b(z), with M and b linear in z."""
        w = {weight.path.split("/")[-1]: weight.numpy() for weight in part.weights}
        inner = (z @ w["generator"] + w["base"]).reshape(ROWS, 2, 2)
        return np.einsum("bi,ir,brs,so->bo", x, w["left"], inner, w["right"]) + z @ w["bias"]

    for layer, adapter in zip(model.hidden, model.adapters, strict=True):
        norm = adapter._norm
        norm.mean.assign(rng.normal(size=norm.mean.shape))
        norm.variance.assign(rng.uniform(0.5, 2, size=norm.variance.shape))
        gamma, beta = (weight.numpy()[domain] for weight in norm.trainable_weights)
        mean, variance = norm.mean.numpy()[domain], norm.variance.numpy()[domain]
        k, b = values(layer)
        h = relu(x @ k + b)
        change = generated(adapter._up, 1 / (1 + np.exp(-generated(adapter._down, h))))
        x = h + gamma * (change - mean) / np.sqrt(variance + norm.epsilon) + beta
    k, b = values(model.logit)
    np.testing.assert_allclose(model(inputs), (x @ k + b)[:, 0], rtol=1e-3, atol=1e-4)
