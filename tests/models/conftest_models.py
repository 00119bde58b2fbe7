"""Small inputs, and one helper that checks what every layer must do."""

from contextlib import contextmanager

import keras
import numpy as np
import pytest
from keras import ops

from models.architectures.base import create_model
from models.columns import Columns
from models.domain_classifier import freeze
from models.features import FeatureSpec, InputField
from models.layers.domain_classifier import DomainClassifier
from models.registry import find
from models.settings import ModelSettings

SPEC = FeatureSpec(
    fields=(
        InputField(name="user", kind="categorical", size=30),
        InputField(name="tags", kind="sequence", size=8, length=3),
        InputField(name="price", kind="numeric"),
        InputField(name="item", kind="categorical", size=20, group="context"),
    ),
    domain="channel",
    domains=("news", "sport", "music"),
)


def make_inputs(rows: int, spec: FeatureSpec = SPEC, seed: int = 0) -> dict[str, np.ndarray]:
    """Return random inputs of a spec, the unknown domain among them."""
    rng = np.random.default_rng(seed)
    inputs = {spec.domain: rng.integers(0, spec.n_domains + 1, rows).astype("int32")}
    for field in spec.fields:
        if field.kind == "numeric":
            inputs[field.name] = rng.normal(size=rows).astype("float32")
        else:
            shape = (rows, field.length) if field.length else rows
            inputs[field.name] = rng.integers(0, field.size, shape).astype("int32")
    return inputs


def make_columns(rows: int, seed: int = 0) -> Columns:
    """Return rows with a learnable label, sorted by domain; no row is of the unknown domain."""
    rng = np.random.default_rng(seed)
    inputs = make_inputs(rows, seed=seed)
    inputs["channel"] = np.sort(rng.integers(0, 3, rows)).astype("int32")
    chance = 1 / (1 + np.exp(-(inputs["price"] + (inputs["user"] % 3 - 1))))
    label = (rng.random(rows) < chance).astype("float32")
    return Columns({**inputs, "label": label}, np.searchsorted(inputs["channel"], np.arange(5)))


def small_model(architecture: str, spec: FeatureSpec = SPEC, share: float = 0.0, plugins=(), **settings):
    """Build an architecture with widths of 4 and two of everything else that is counted."""
    keras.utils.set_random_seed(0)
    own = find("architectures", architecture).cls.Settings()
    for name, value in own.model_dump().items():
        if isinstance(value, tuple) and all(isinstance(width, int) for width in value):
            settings.setdefault(name, (4,) * len(value))
        elif isinstance(value, int) and not isinstance(value, bool) and value > 2:
            settings.setdefault(name, 2)
    model = ModelSettings(
        architecture=architecture,
        settings=settings,
        plugins=plugins,
        embedding_dim=4,
        unknown_domain_share=share,
    )
    classifier = small_classifier(spec) if architecture == "ssctl" or "sddn" in plugins else None
    return create_model(spec, model, 1e-4, classifier)


def small_classifier(spec: FeatureSpec = SPEC) -> DomainClassifier:
    """Return a frozen classifier to which the first domain is the dominant one."""
    classifier = DomainClassifier(spec, (0,), (4,), 4)
    classifier(make_inputs(2, spec))
    return freeze(classifier)


@contextmanager
def uncompiled():
    """Run TensorFlow functions as they stand: of a few small steps, tracing takes most of the time."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def check_layer():
    """Return the check of a layer: build, shape, save and load, low precision, gradients to every weight."""

    def check(layer: keras.layers.Layer, *inputs, expected_shape: tuple) -> None:
        keras.utils.set_random_seed(0)
        outputs = layer(*inputs)
        assert tuple(outputs.shape) == expected_shape
        again = layer.__class__.from_config(layer.get_config())
        again(*inputs)
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(ops.convert_to_numpy(again(*inputs)), ops.convert_to_numpy(outputs))
        low = layer.__class__.from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
        assert np.isfinite(ops.convert_to_numpy(ops.cast(low(*inputs), "float32"))).all()
        for weight, gradient in zip(layer.trainable_weights, gradients_of(layer, inputs), strict=True):
            assert np.any(gradient != 0), f"{weight.path} gets no gradient"

    return check


def gradients_of(layer, inputs) -> list[np.ndarray]:
    """Return the gradients of a weighted sum of a layer's outputs."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        outputs = layer(*inputs)
        weights = np.arange(1.0, 1 + np.prod(outputs.shape), dtype="float32").reshape(outputs.shape)
        total = tf.reduce_sum(tf.sin(outputs) * weights)
    return [np.asarray(tf.convert_to_tensor(g)) for g in tape.gradient(total, layer.trainable_weights)]
