"""Shared-Bottom (Eq. 1) and MMoE (Eq. 6-7) against NumPy, from the built models' own weights."""

import numpy as np
import pytest
from conftest_papers import ROWS, build, make_inputs, relu, tower


@pytest.fixture(scope="module")
def inputs():
    return make_inputs()


def test_shared_bottom(inputs):
    model = build("shared_bottom", bottom_units=(5, 4), tower_units=(3,))
    x = model.embedding(inputs).numpy().reshape(ROWS, -1)
    w1, b1, w2, b2 = (weight.numpy() for weight in model.bottom.weights)
    f = relu(relu(x @ w1 + b1) @ w2 + b2)
    np.testing.assert_allclose(model(inputs), tower(model.tower, f, inputs["channel"]), rtol=1e-4)


def test_mmoe(inputs):
    model = build("mmoe", n_experts=3, expert_units=(4,), tower_units=(2,))
    x, domain = model.embedding(inputs).numpy().reshape(ROWS, -1), inputs["channel"]
    kernel, bias = (weight.numpy() for weight in model.experts.weights)
    f = np.stack([relu(x @ kernel[i] + bias[i]) for i in range(3)], axis=1)
    w_g, b_g = model.gate.kernel.numpy(), model.gate.bias.numpy()
    scores = np.stack([x[i] @ w_g[d] + b_g[d] for i, d in enumerate(domain)])
    g = np.exp(scores - scores.max(1, keepdims=True))
    g /= g.sum(1, keepdims=True)
    mixture = np.einsum("be,bek->bk", g, f)
    np.testing.assert_allclose(model(inputs), tower(model.tower, mixture, domain), rtol=1e-3, atol=1e-4)


def test_loss_of_a_row_is_the_log_loss(inputs):
    model = build("shared_bottom")
    logits, labels = np.array([-40.0, -1.0, 0.5, 40.0], "float32"), np.array([0, 1, 1, 0], "float32")
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    expected = [-np.log1p(-p[0]), -np.log(p[1]), -np.log(p[2]), 40.0]
    np.testing.assert_allclose(model.row_losses(labels, logits), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model.probabilities(logits), p, rtol=1e-5, atol=1e-7)
