"""EPNet, PPNet and PEPNet against NumPy, from the built models' own weights."""

import numpy as np
import pytest
import tensorflow as tf
from conftest_papers import relu

from models.architectures.base import create_model
from models.features import FeatureSpec, InputField
from models.settings import ModelSettings

SPEC = FeatureSpec(
    fields=(
        InputField(name="user", kind="categorical", size=9),
        InputField(name="theme", kind="categorical", size=4, group="domain"),
        InputField(name="hour", kind="numeric", group="context"),
    ),
    domain="channel",
    domains=("news", "sport"),
)
ROWS, DIM = 8, 3
DOMAIN = np.array([0, 1, 2, 2, 1, 0, 0, 2], "int32")  # the unknown domain, 2, among them


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(1)
    return {
        "user": rng.integers(0, 9, ROWS).astype("int32"),
        "theme": rng.integers(0, 4, ROWS).astype("int32"),
        "hour": rng.normal(size=ROWS).astype("float32"),
        "channel": DOMAIN,
    }


def build(architecture):
    settings = ModelSettings(architecture=architecture, settings={"units": (5, 4)}, embedding_dim=DIM)
    model = create_model(SPEC, settings)
    rng = np.random.default_rng(2)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(scale=0.7, size=weight.shape))
    return model


def values(layer):
    return [weight.numpy().astype("float64") for weight in layer.weights]


def gate_nu(layer, known):
    """delta = gamma sigmoid(W' relu(W x + b) + b'), gamma = 2."""
    w, b, w_, b_ = values(layer)
    return 2 / (1 + np.exp(-(relu(known @ w + b) @ w_ + b_)))


def answer(model, fields, stopped):
    """The logits for fields `(rows, 4, dim)`, of which the stop-gradients see `stopped`."""

    def parts(fields):
        """E: user and hour; E_d: theme and the domain's embedding; O_prior: all."""
        return [fields[:, chosen].reshape(ROWS, -1) for chosen in ([0, 2], [1, 3], [0, 1, 2, 3])]

    (e, side, prior), (stopped_e, stopped_side, _) = parts(fields), parts(stopped)
    o_ep, stopped_o_ep = e, stopped_e
    if model.name != "ppnet":
        o_ep = gate_nu(model.gate, np.hstack([side, stopped_e])) * e
        stopped_o_ep = gate_nu(model.gate, np.hstack([stopped_side, stopped_e])) * stopped_e
    hidden = [values(model.network)[i : i + 2] for i in (0, 2)]
    if model.name != "epnet":
        hidden = [values(layer) for layer in model.network._hidden]
    x = o_ep
    for i, (k, b) in enumerate(hidden):
        x = relu(x @ k + b)
        if model.name != "epnet":
            x = x * gate_nu(model.network._gates[i], np.hstack([prior, stopped_o_ep]))
    k, b = values(model.logit)
    return (x @ k + b)[:, 0]


@pytest.mark.parametrize("name", ["epnet", "ppnet", "pepnet"])
def test_equation(inputs, name):
    model = build(name)
    fields = model.embedding(inputs).numpy().astype("float64")
    np.testing.assert_allclose(model(inputs), answer(model, fields, fields), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["epnet", "ppnet", "pepnet"])
def test_gradient_stops_where_the_paper_stops_it(inputs, name):
    model = build(name)
    fields = model.embedding(inputs).numpy()
    with tf.GradientTape() as tape:
        variable = tf.convert_to_tensor(fields)
        tape.watch(variable)
        total = tf.reduce_sum(model.logits(variable, DOMAIN, False))
    got = tape.gradient(total, variable).numpy()
    fields = fields.astype("float64")
    for place in np.ndindex(fields.shape[1:]):
        step = np.zeros_like(fields)
        step[:, *place] = 1e-6
        slope = (answer(model, fields + step, fields) - answer(model, fields - step, fields)) / 2e-6
        np.testing.assert_allclose(got[:, *place], slope, rtol=1e-3, atol=1e-4)
    assert np.any(got[:, -1] != 0)  # the domain's embedding learns from the gates
