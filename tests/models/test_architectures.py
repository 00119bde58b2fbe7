"""What every architecture of the registry must do; each one's equation is held to NumPy in tests/papers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest_models import SPEC, make_columns, make_inputs, small_classifier, small_model, uncompiled
from conftest_transformed import LOG, dense
from example_artifacts import encode

from models.architectures.base import create_model
from models.backend import create_steps
from models.backend.optimizer import RowAdam
from models.describe import describe
from models.export import export
from models.features import FeatureSpec, InputField
from models.layers.differentiation import DifferentiationNetwork
from models.registry import check, find, names
from models.served import ServedModel, meaning, weight_names
from models.settings import LearningSettings, ModelSettings

ALL = names("architectures")
every = pytest.mark.parametrize("name", ALL)
# What takes seconds for one is done for these in `make test`: they have every kind of layer between them.
QUICK = ("shared_bottom", "mmoe", "star", "aread", "ssctl", "dfei", "m2m")
most = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.exhaustive) for name in ALL]
)


def gradients(model, inputs, labels):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.row_losses(labels, model(inputs, training=False)))
    found = tape.gradient(loss, [weight.value for weight in model.trainable_variables])
    return [None if g is None else tf.convert_to_tensor(g).numpy() for g in found]


@every
def test_gradients_reach_every_weight(name):
    model, inputs = small_model(name), make_inputs(256)
    rng = np.random.default_rng(1)
    for weight in model.trainable_variables:
        weight.assign(weight.numpy() + rng.normal(scale=0.3, size=weight.shape))
    model(inputs, training=True)  # what is kept from batch to batch is read, and leads to weights, too
    found = gradients(model, inputs, rng.integers(0, 2, 256).astype("float32"))
    for weight, gradient in zip(model.trainable_variables, found, strict=True):
        assert gradient is not None and np.any(gradient != 0), f"{weight.path} gets no gradient"
        assert np.isfinite(gradient).all()


@every
def test_odd_batches_get_finite_answers(name):
    model = small_model(name)
    steps = create_steps(model, RowAdam(0.01))
    inputs = make_inputs(3)
    inputs["channel"][:] = [-5, 3, 99]  # no domain, the unknown one, no domain
    with uncompiled():
        for rows in (1, 2):  # one row, and domains with a single row
            batch = {key: array[None] for key, array in make_inputs(rows, seed=rows).items()}
            losses = steps.train({**batch, "label": np.ones((1, rows), "float32")})
            assert np.isfinite(losses).all()
        scores = steps.predict(inputs)
        inputs["channel"][:] = 3
        np.testing.assert_array_equal(scores, steps.predict(inputs))
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)
    assert ((scores > 0) & (scores < 1)).all()


@most
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_low_precision_gives_finite_losses(name, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = small_model(name)
        outputs = model(make_inputs(50), training=True)
        losses = keras.ops.cast(model.row_losses(np.ones(50), outputs), "float32")
        assert np.isfinite(keras.ops.convert_to_numpy(losses)).all()
    finally:
        keras.config.set_dtype_policy("float32")


@most
def test_a_group_without_a_field_and_no_fields_at_all_are_answered(name):
    single = FeatureSpec(fields=SPEC.fields[:1], domain="channel", domains=SPEC.domains)
    none = FeatureSpec(fields=(), domain="channel", domains=("only",))
    owner = InputField(name="owner", kind="categorical", size=5, group="domain")
    described = FeatureSpec(fields=(*SPEC.fields, owner), domain="channel", domains=SPEC.domains)
    # ssctl's classifier must read something
    for spec in (single, described, none) if name != "ssctl" else (single, described):
        model = small_model(name, spec)
        outputs = keras.ops.convert_to_numpy(model.probabilities(model(make_inputs(5, spec))))
        assert outputs.shape == (5,) and np.isfinite(outputs).all()


@most
def test_sddn_scales_something_wherever_it_is_accepted(name):
    chosen = ModelSettings(architecture=name, plugins=("sddn",))
    if find("architectures", name).cls.scalable:
        check(chosen, LearningSettings(), has_classifier=True)
        layers = small_model(name, plugins=("sddn",))._flatten_layers()
        assert any(isinstance(layer, DifferentiationNetwork) for layer in layers)
    else:
        with pytest.raises(ValueError, match=f"sddn does not fit {name}, .* it fits .*mmoe"):
            check(chosen, LearningSettings(), has_classifier=True)


@every
def test_an_unknown_setting_is_named(name):
    with pytest.raises(ValueError, match=f"settings of {name}: no_such_width: .*Allowed: "):
        create_model(SPEC, ModelSettings(architecture=name, settings={"no_such_width": 3}))


@most
def test_training_learns_and_what_is_learned_comes_back_from_a_file(name, tmp_path):
    model, inputs = small_model(name), make_inputs(20)
    steps, columns = create_steps(model, RowAdam(0.02)), make_columns(4000)
    rng = np.random.default_rng(0)
    losses = [steps.train(columns.take(columns.mixed(rng)[:3840], 15)).mean() for _ in range(8)]
    assert losses[-1] < losses[0] - 0.02, losses
    model.save_weights(tmp_path / "model.weights.h5")
    other = small_model(name)
    for weight in other.weights:
        weight.assign(np.zeros(weight.shape))
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(model(inputs), other(inputs))


@every
def test_what_is_counted(name):
    counted = describe(create_model(SPEC, ModelSettings(architecture=name), 0.0, small_classifier()))
    assert counted["parameters"] > counted["embedding_parameters"] > 0
    # FM alone is computed without a matrix product.
    assert (counted["multiply_adds"] == 0) == (name == "fm")


@most
def test_both_signatures_answer_as_the_model_in_memory(name, transformed, spec, tmp_path):
    model = small_model(name, spec)
    for weight in model.trainable_variables:
        weight.assign(weight.numpy() + np.random.default_rng(1).normal(scale=0.3, size=weight.shape))
    for mask in model.experts.masks if name == "aread" else ():  # masks of the domains' own are served, too
        drawn = np.random.default_rng(2).random(mask.shape) < 0.5
        mask.assign(drawn | np.eye(*mask.shape[1:], dtype=bool))
    export(model, transformed.output, LOG, tmp_path / "model")
    served = tf.saved_model.load(str(tmp_path / "model"))
    rows = transformed.rows["test"][:40]
    examples = tf.constant([encode(row) for row in rows])
    wanted = {LOG.domain, *LOG.features}
    raw_spec = {key: kind for key, kind in transformed.output.raw_feature_spec().items() if key in wanted}
    inputs = transformed.output.transform_features_layer()(tf.io.parse_example(examples, raw_spec))
    here = model.probabilities(model({key: inputs[key] for key in wanted}))
    for answer in (
        served.signatures["serving_default"](examples=examples),
        served.signatures["columns"](**dense(rows)),
    ):
        np.testing.assert_allclose(answer["probability"], here, rtol=1e-5, atol=1e-6)
    pushed = ServedModel(tmp_path / "model")  # what a warm start reads
    for weight_name, weight in zip(weight_names(model), model.variables, strict=True):
        np.testing.assert_array_equal(pushed.value(weight_name), weight.numpy())
    assert pushed.meaning == meaning(spec, LOG, transformed.output)
