"""What the equation tests share: a small spec, random inputs and weights, and the usual parts in NumPy."""

import numpy as np

from models.architectures.base import create_model
from models.features import FeatureSpec, InputField
from models.settings import ModelSettings

SPEC = FeatureSpec(
    fields=(InputField(name="user", kind="categorical", size=9), InputField(name="x", kind="numeric")),
    domain="channel",
    domains=("news", "sport"),
)
ROWS = 8
# For architectures that tell feature groups apart.
GROUPED_SPEC = FeatureSpec(
    fields=(
        InputField(name="user", kind="categorical", size=9),
        InputField(name="x", kind="numeric"),
        InputField(name="item", kind="categorical", size=7, group="context"),
    ),
    domain="channel",
    domains=("news", "sport"),
)


def make_inputs():
    """Return random inputs of every domain."""
    rng = np.random.default_rng(1)
    return {
        "user": rng.integers(0, 9, ROWS).astype("int32"),
        "x": rng.normal(size=ROWS).astype("float32"),
        "channel": rng.integers(0, 3, ROWS).astype("int32"),  # the unknown domain, 2, among them
    }


def build(architecture, **settings):
    """Build an architecture and give every weight its own random value."""
    model = create_model(SPEC, ModelSettings(architecture=architecture, settings=settings, embedding_dim=3))
    rng = np.random.default_rng(2)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    return model


def relu(x):
    """max(x, 0)."""
    return np.maximum(x, 0)


def tower(layer, x, domain):
    """h_d(x): the tower of each row's domain."""
    k1, b1, k2, b2 = (weight.numpy() for weight in layer.weights)
    return np.array([(relu(x[i] @ k1[d] + b1[d]) @ k2[d] + b2[d])[0] for i, d in enumerate(domain)])


def random_weights(layer, scale=0.5):
    """Give every weight of a layer or model its own random value; return it."""
    rng = np.random.default_rng(3)
    for weight in layer.trainable_variables:
        weight.assign(rng.normal(scale=scale, size=weight.shape))
    return layer
