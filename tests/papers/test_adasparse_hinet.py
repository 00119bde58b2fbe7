"""AdaSparse and HiNet against NumPy, from the built models' own weights."""

import numpy as np
import pytest
from conftest_papers import ROWS, build, make_inputs, relu, tower


@pytest.fixture(scope="module")
def inputs():
    return make_inputs()


def values(layer):
    return [weight.numpy() for weight in layer.weights]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("factors", ["scaling", "binarization", "fusion"])
def test_adasparse(inputs, factors):
    model = build("adasparse", units=(5, 4), factors=factors, beta=1.5, epsilon=0.3, alpha=2.0)
    fields = model.embedding(inputs).numpy()
    x, e_d = fields.reshape(ROWS, -1), fields[:, -1]
    slope, cut = (1, 0) if factors == "scaling" else (2, 0.3)
    for pruner, layer in zip(model.pruners, [*model.hidden, None], strict=True):
        s = 1 / (1 + np.exp(-slope * np.hstack([e_d, x]) @ pruner.kernel.numpy()))
        pi = np.where(s > cut, s, 0) * (1 if factors == "binarization" else 1.5)
        w, b = values(layer or model.logit)
        x = (pi * x) @ w + b
        x = relu(x) if layer else x
    np.testing.assert_allclose(model(inputs), x[:, 0], rtol=1e-4, atol=1e-5)


def test_adasparse_regularises_the_mean_over_its_layers(inputs):
    model = build("adasparse", units=(5, 4), penalty=0.3, least=0.9, most=0.9, alpha=2.0, dropout=0.0)
    x = model.embedding(inputs).numpy()
    x, e_d, losses = x.reshape(ROWS, -1), x[:, -1], []
    for pruner, layer in zip(model.pruners, [*model.hidden, None], strict=True):
        s = 1 / (1 + np.exp(-2 * np.hstack([e_d, x]) @ pruner.kernel.numpy()))
        s = np.where(s > 0.25, s, 0)
        losses.append(np.mean(np.abs(1 - s.mean(axis=1) - 0.9)))
        if layer:
            w, b = values(layer)
            x = relu((2 * s * x) @ w + b)
    model._hidden_share = 0.0
    model(inputs, training=True)
    np.testing.assert_allclose(sum(model.losses), 0.3 * np.mean(losses), rtol=1e-4)


def test_hinet(inputs):
    model = build(
        "hinet",
        n_sub_experts=2,
        sub_expert_units=(5, 3),
        n_task_experts=3,
        task_expert_units=(4,),
        tower_units=(2,),
    )
    fields, domain = model.embedding(inputs).numpy(), inputs["channel"]
    x = fields.reshape(ROWS, -1)

    def sei(layer, i):
        """S_i(x) = sum_k g_k(x) Q_k(x) over the sub-experts of expert i."""
        k1, b1, k2, b2 = values(layer._sub_experts)
        gate = softmax(x @ values(layer._gate)[0][:, 2 * i : 2 * i + 2])
        parts = [relu(relu(x @ k1[q] + b1[q]) @ k2[q] + b2[q]) for q in (2 * i, 2 * i + 1)]
        return gate[:, :1] * parts[0] + gate[:, 1:] * parts[1]

    shared, specific = sei(model.common, 0), np.stack([sei(model.specific, i) for i in range(3)], axis=1)
    scores = fields[:, -1] @ values(model.attention)[0]
    c = []
    for i, d in enumerate(domain):
        others = [j for j in range(3) if j != d]
        attention = softmax(scores[i, others]) @ specific[i, others]
        c.append(np.concatenate([shared[i], specific[i, d], attention]))
    c = np.array(c)
    kernel, bias = values(model.experts)
    experts = np.stack([relu(c @ kernel[k] + bias[k]) for k in range(3)], axis=1)
    mixture = np.einsum("be,bek->bk", softmax(c @ values(model.gate)[0]), experts)
    np.testing.assert_allclose(model(inputs), tower(model.tower, mixture, domain), rtol=1e-3, atol=1e-4)
