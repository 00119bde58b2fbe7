"""The primitives that learning methods stand on, on both Keras backends."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest_models import make_columns, small_model, uncompiled

from models.backend import create_steps
from models.backend.optimizer import RowAdam


def build(architecture="mmoe", share=0.1, plugins=()):
    model = small_model(architecture, share=share, plugins=plugins)
    return model, create_steps(model, RowAdam(0.01))


# Compiling takes most of the time of so small models.
JAX = {**os.environ, "KERAS_BACKEND": "jax", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def chunk(steps=3, batch=16, seed=0):
    columns = make_columns(steps * batch, seed)
    return columns.take(np.arange(columns.rows), steps)


def batch(rows=16):
    return {name: array[0] for name, array in chunk(1, rows).items()}


def without_dropout(model):
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0


def loss_of(model, one):
    inputs = {name: array for name, array in one.items() if name != "label"}
    logits = model(inputs, training=True)
    return float(keras.ops.mean(model.row_losses(one["label"], logits)) + sum(model.losses))


def test_a_chunk_is_the_same_as_its_batches_one_by_one():
    _, whole = build()
    _, single = build()
    losses = whole.train(chunk())
    each = [single.train({name: array[i : i + 1] for name, array in chunk().items()})[0] for i in range(3)]
    np.testing.assert_allclose(losses, each, rtol=1e-5)
    for a, b in zip(whole.snapshot(), single.snapshot(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_gradients_are_those_of_the_loss():
    model, steps = build(share=0.0)
    without_dropout(model)
    one = batch()
    loss, gradients = steps.gradients(one)
    assert loss == pytest.approx(loss_of(model, one), rel=1e-5)
    bias = model.tower.weights[-1]  # of the logit, one per domain
    position = [w is bias for w in model.trainable_variables].index(True)
    step = 1e-2
    value = bias.numpy()
    value[0, 0] += step
    bias.assign(value)
    above = loss_of(model, one)
    value[0, 0] -= 2 * step
    bias.assign(value)
    below = loss_of(model, one)
    assert gradients[position][0, 0] == pytest.approx((above - below) / (2 * step), rel=2e-2)


def test_gradients_then_apply_is_a_training_step():
    _, one_call = build()
    _, two_calls = build()
    one_call.train(chunk(steps=1))
    _, gradients = two_calls.gradients(batch())
    two_calls.apply(gradients)
    for a, b in zip(one_call.snapshot(), two_calls.snapshot(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_snapshot_brings_back_every_weight_seed_and_slot_bit_for_bit():
    _, steps = build()
    steps.train(chunk())
    before = steps.snapshot()
    first = steps.train(chunk(seed=1))
    changed = [not np.array_equal(a, b) for a, b in zip(before, steps.snapshot(), strict=True)]
    assert sum(changed) > len(changed) / 2
    steps.restore(before)
    for a, b in zip(before, steps.snapshot(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(steps.train(chunk(seed=1)), first)  # dropout's seeds came back, too


def test_a_snapshot_of_another_model_is_refused():
    _, mmoe = build()
    _, other = build("shared_bottom")
    with pytest.raises(ValueError, match="another model"):
        mmoe.restore(other.snapshot())


def test_move_is_a_weighted_difference_and_leaves_the_slots():
    model, steps = build()
    origin = steps.weights()
    steps.train(chunk())
    trained, slots = steps.weights(), [v.numpy() for v in steps.optimizer.variables]
    steps.move(origin, 0.25)
    for start, end, variable in zip(origin, trained, model.trainable_variables, strict=True):
        np.testing.assert_allclose(variable.numpy(), start + 0.25 * (end - start), rtol=1e-5, atol=1e-6)
    for slot, variable in zip(slots, steps.optimizer.variables, strict=True):
        np.testing.assert_array_equal(slot, variable.numpy())


def test_rows_of_weight_zero_do_not_count():
    _, all_rows = build(share=0.0)
    _, half = build(share=0.0)
    one = batch(16)
    weight = np.repeat([2.0, 0.0], 8).astype("float32")
    changed = {name: array.copy() for name, array in one.items()}
    changed["label"][8:] = 1 - changed["label"][8:]
    a = all_rows.gradients({**one, "weight": weight})[1]
    b = half.gradients({**changed, "weight": weight})[1]
    for left, right in zip(a, b, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-7)


def test_a_step_whose_loss_is_not_a_number_is_left_out():
    _, steps = build("star")  # whose normalisation keeps running moments, which no NaN may reach
    bad = chunk()
    bad["price"][1, 0] = np.nan
    losses = steps.train(bad)
    assert np.isfinite(losses).tolist() == [True, False, True]
    assert all(np.isfinite(weight.numpy()).all() for weight in steps.model.weights)
    loss, _ = steps.gradients({name: rows[1] for name, rows in bad.items()})
    assert not np.isfinite(loss)
    assert all(np.isfinite(weight.numpy()).all() for weight in steps.model.weights)


@pytest.mark.parametrize(("architecture", "plugins"), [("dfei", ()), ("shared_bottom", ("d3",))])
def test_what_is_kept_of_domains_knows_nothing_of_a_step_that_is_left_out(architecture, plugins):
    _, steps = build(architecture, 0.0, plugins)
    with uncompiled():
        steps.train(chunk(1))
        before = [variable.numpy() for variable in steps.running]
        bad = chunk(1, seed=1)
        bad["price"][0, 3] = np.nan
        assert not np.isfinite(steps.train(bad))
        for variable, value in zip(steps.running, before, strict=True):
            np.testing.assert_array_equal(variable.numpy(), value, variable.path)
        steps.train(chunk(1, seed=1))
    assert len(before) > 1
    assert all(np.any(v.numpy() != b) for v, b in zip(steps.running, before, strict=True) if b.size > 4)


def test_a_hidden_row_is_one_of_the_unknown_domain_to_plug_ins():
    (dfei, first), (d3, second) = build("dfei", 0.5), build("shared_bottom", 0.5, ("d3",))
    with uncompiled():
        for steps in (first, second):
            steps.train(chunk(1, 64))
    assert dfei.domain_features.seen.numpy().tolist() == [1, 1, 1, 0]  # which has no feature of its own
    own, hidden = np.split(d3.d3_means.rows.numpy()[:, 0], [3])
    assert hidden > 0 and own.sum() + hidden == 64


def test_only_the_chosen_variables_move():
    model, steps = build()
    chosen = model.trainable_variables[1:3]
    before = steps.weights()
    steps.train(chunk(), chosen)
    for variable, start in zip(model.trainable_variables, before, strict=True):
        moved = not np.array_equal(variable.numpy(), np.asarray(start))
        assert moved == any(variable is one for one in chosen), variable.path


def test_predictions_are_probabilities_of_known_and_unknown_domains_alike():
    _, steps = build()
    one = {name: array for name, array in batch().items() if name != "label"}
    one["channel"][:] = np.arange(16) % 4
    scores = steps.predict(one)
    assert scores.shape == (16,)
    assert ((scores > 0) & (scores < 1)).all()


def test_the_unknown_domain_learns_from_hidden_rows():
    model, steps = build(share=0.5)
    row = model.embedding._rows - 1
    before = model.embedding.table.numpy()[row].copy()
    steps.train(chunk())
    assert np.any(model.embedding.table.numpy()[row] != before)
    model, steps = build(share=0.0)
    before = model.embedding.table.numpy()[row].copy()
    steps.train(chunk())
    np.testing.assert_array_equal(model.embedding.table.numpy()[row], before)


OTHERWISE = ("star", "ssctl", "dfei", "star+d3")  # these predict with what training keeps beside the weights


def run_elsewhere() -> dict:
    """What both backends must agree on, from weights that do not depend on the backend."""
    from models.registry import entries

    answers = {}
    models = [entry.name for entry in entries("architectures") if "jax" in entry.backends]
    for name in (*models, "shared_bottom+d3", "star+d3"):
        architecture, *plugins = name.split("+")
        model, steps = build(architecture, 0.0, tuple(plugins))
        without_dropout(model)
        rng = np.random.default_rng(3)
        frozen = model.classifier.weights if architecture == "ssctl" else []
        for variable in (*model.trainable_variables, *frozen):
            variable.assign(rng.normal(scale=0.3, size=variable.shape))
        model.reached(1.0)
        answers[name] = {"losses": steps.train(chunk()).tolist()}  # the later ones say what the first moved
        answers[name]["state"] = [np.array(variable.numpy()).tolist() for variable in steps.running]
        if name in OTHERWISE:
            inputs = {key: array for key, array in batch().items() if key != "label"}
            answers[name]["scores"] = steps.predict(inputs).tolist()
    return answers


@pytest.mark.exhaustive
def test_both_backends_train_every_architecture_alike():
    environment = {**JAX, "PYTHONPATH": os.pathsep.join(sys.path)}
    code = "import json, test_backend as t; import keras; assert keras.backend.backend() == 'jax'; "
    done = subprocess.run(
        [sys.executable, "-c", code + "print(json.dumps(t.run_elsewhere()))"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with uncompiled():
        jax, here = json.loads(done.stdout.splitlines()[-1]), run_elsewhere()
    assert jax.keys() == here.keys()
    for name in here:
        # D3 divides by the deviation of entropies that are nearly alike.
        np.testing.assert_allclose(
            jax[name]["losses"], here[name]["losses"], rtol=1e-3 if "d3" in name else 1e-4
        )
        if name in OTHERWISE:
            np.testing.assert_allclose(jax[name]["scores"], here[name]["scores"], rtol=1e-3, atol=1e-5)
        for there, state in zip(jax[name]["state"], here[name]["state"], strict=True):
            np.testing.assert_allclose(there, state, rtol=1e-2, atol=1e-4)


JAX_TESTS = "snapshot or apply or move or chunk or number or rows or chosen or predictions"


@pytest.mark.exhaustive
def test_the_primitives_on_the_jax_backend():
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-x", "-k", JAX_TESTS, __file__]
    done = subprocess.run(command, env=JAX, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
