"""The single-domain architectures against NumPy, from the built models' own weights."""

from itertools import combinations

import numpy as np
import pytest

from models.architectures.base import create_model
from models.features import FeatureSpec, InputField
from models.settings import ModelSettings

SPEC = FeatureSpec(
    fields=(
        InputField(name="user", kind="categorical", size=9),
        InputField(name="x", kind="numeric"),
        InputField(name="tags", kind="sequence", size=5, length=3),
    ),
    domain="channel",
    domains=("news", "sport"),
)
ROWS, FIELDS, DIM = 8, 4, 3  # the domain is a field, too


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(1)
    return {
        "user": rng.integers(0, 9, ROWS).astype("int32"),
        "x": rng.normal(size=ROWS).astype("float32"),
        "tags": rng.integers(0, 5, (ROWS, 3)).astype("int32"),
        "channel": np.arange(ROWS, dtype="int32") % 3,  # the unknown domain, 2, among them
    }


def build(architecture, **settings):
    model = create_model(
        SPEC,
        ModelSettings(
            architecture=architecture, settings=settings, embedding_dim=DIM, unknown_domain_share=0.0
        ),
    )
    rng = np.random.default_rng(2)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    return model


def check(model, inputs, expected):
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4, atol=1e-4)


def weights(layer):
    return [weight.numpy() for weight in layer.weights]


def first_order(model, inputs):
    """sum_i w_i x_i: the user's weight, the number times its own, the mean of the tags', the domain's."""
    table, (numeric,) = model.linear.table.numpy()[:, 0], model.linear.numeric.numpy()[:, 0]
    total = table[inputs["user"]] + numeric * inputs["x"] + table[9 + 5 + inputs["channel"]]
    for i, tags in enumerate(inputs["tags"]):
        present = [table[9 + tag] for tag in tags if tag > 0]
        total[i] += np.mean(present) if present else 0
    return total


def second_order(e):
    """sum_{i<j} <v_i, v_j>, one pair at a time."""
    return sum(np.sum(e[:, i] * e[:, j], axis=1) for i, j in combinations(range(FIELDS), 2))


def hidden(layer, x):
    """The stack of ReLU layers h(x)."""
    kernels_and_biases = weights(layer)
    for kernel, bias in zip(kernels_and_biases[::2], kernels_and_biases[1::2], strict=True):
        x = np.maximum(x @ kernel + bias, 0)
    return x


def output(layer, x):
    """w . x + b."""
    kernel, bias = weights(layer)
    return (x @ kernel + bias)[:, 0]


def embeddings(model, inputs):
    """The fields' vectors e `(rows, fields, dim)`, and x_0, which joins them."""
    e = model.embedding(inputs).numpy()
    assert e.shape == (ROWS, FIELDS, DIM)
    return e, e.reshape(ROWS, FIELDS * DIM)


def test_mlp(inputs):
    model = build("mlp", units=(5, 4))
    _, x0 = embeddings(model, inputs)
    check(model, inputs, output(model.out, hidden(model.deep, x0)))


def test_wide_deep(inputs):
    model = build("wide_deep", units=(5, 4))
    _, x0 = embeddings(model, inputs)
    check(model, inputs, first_order(model, inputs) + output(model.out, hidden(model.deep, x0)))


def test_fm(inputs):
    model = build("fm")
    e, _ = embeddings(model, inputs)
    check(model, inputs, model.bias.numpy() + first_order(model, inputs) + second_order(e))


def test_deepfm(inputs):
    model = build("deepfm", units=(5, 4))
    e, x0 = embeddings(model, inputs)
    y_fm, y_dnn = first_order(model, inputs) + second_order(e), output(model.out, hidden(model.deep, x0))
    check(model, inputs, y_fm + y_dnn)


def test_neurfm(inputs):
    model = build("neurfm", units=(5, 4))
    e, _ = embeddings(model, inputs)
    f_bi = sum(e[:, i] * e[:, j] for i, j in combinations(range(FIELDS), 2))
    check(model, inputs, first_order(model, inputs) + output(model.out, hidden(model.deep, f_bi)))


def test_neurfm_drops_pooled_values_in_training(inputs):
    model = build("neurfm", units=(), dropout=0.5)
    np.testing.assert_array_equal(model(inputs), model(inputs))
    assert np.any(model(inputs, training=True) != model(inputs).numpy())


def test_xdeepfm(inputs):
    model = build("xdeepfm", cin_units=(5, 2), units=(4,))
    e, x0 = embeddings(model, inputs)
    x, p = e, []
    for kernel in weights(model.cin):
        kernel = kernel.reshape(x.shape[1], FIELDS, -1)
        x = np.einsum("bid,bjd,ijh->bhd", x, e, kernel)  # Eq. 6
        p.append(x.sum(axis=2))  # Eq. 8
    joined = np.concatenate([*p, hidden(model.deep, x0)], axis=1)
    check(model, inputs, first_order(model, inputs) + output(model.out, joined))


def test_dcn(inputs):
    model = build("dcn", n_crosses=2, units=(5, 4))
    _, x0 = embeddings(model, inputs)
    x = x0
    for cross in model.crosses:
        w, b = weights(cross)
        x = np.einsum("bi,bj,j->bi", x0, x, w[:, 0]) + b + x  # Eq. 3
    check(model, inputs, output(model.out, np.concatenate([x, hidden(model.deep, x0)], axis=1)))


def test_dcnv2(inputs):
    model = build("dcnv2", n_crosses=2, units=(5, 4))
    _, x0 = embeddings(model, inputs)
    x = x0
    for cross in model.crosses:
        w, b = weights(cross)
        x = x0 * (x @ w + b) + x  # Eq. 1
    check(model, inputs, output(model.out, np.concatenate([x, hidden(model.deep, x0)], axis=1)))


def test_autoint(inputs):
    model = build("autoint", n_layers=2, n_heads=2, head_units=3)
    e, _ = embeddings(model, inputs)
    for layer in model.attention:
        w_q, w_k, w_v = (w.numpy().reshape(-1, 2, 3) for w in (layer.query, layer.key, layer.value))
        scores = np.einsum("bmi,ihu,bkj,jhu->bhmk", e, w_q, e, w_k)
        a = np.exp(scores - scores.max(-1, keepdims=True))  # Eq. 5
        a /= a.sum(-1, keepdims=True)
        mixed = np.einsum("bhmk,bki,ihu->bmhu", a, e, w_v).reshape(ROWS, FIELDS, 6)  # Eq. 6-7
        e = np.maximum(mixed + e @ layer.residual.numpy(), 0)  # Eq. 8
    check(model, inputs, output(model.out, e.reshape(ROWS, -1)))


@pytest.mark.parametrize(
    "architecture",
    ["mlp", "wide_deep", "fm", "deepfm", "neurfm", "xdeepfm", "dcn", "dcnv2", "autoint"],
)
def test_the_domain_is_one_more_field(architecture, inputs):
    model = build(architecture)
    other = {**inputs, "channel": (inputs["channel"] + 1) % 3}
    assert np.all(np.abs(model(other) - model(inputs)) > 1e-6)
