"""RowAdam against NumPy: rows without a gradient stay, the others move as Adam moves them."""

import keras
import numpy as np
import pytest
from conftest_models import make_columns, small_model

from models.backend import create_steps, rows
from models.backend.optimizer import RowAdam
from models.backend.rows import move_by_row

RATE, BETA_1, BETA_2, EPSILON = 0.1, 0.9, 0.999, 1e-7


def variable(values, marked=True):
    made = keras.Variable(values.copy())
    if marked:
        move_by_row(made)
    return made


def adam(weights, gradients):
    """The weights after each row's Adam steps; a zero gradient leaves a row and its moments as they are."""
    weights, m, v = weights.copy(), np.zeros_like(weights), np.zeros_like(weights)
    for step, gradient in enumerate(gradients, start=1):
        rate = RATE * np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
        for row in np.flatnonzero(np.any(gradient != 0, axis=1)):
            m[row] = BETA_1 * m[row] + (1 - BETA_1) * gradient[row]
            v[row] = BETA_2 * v[row] + (1 - BETA_2) * gradient[row] ** 2
            weights[row] -= rate * m[row] / (np.sqrt(v[row]) + EPSILON)
    return weights


@pytest.fixture
def steps_of_gradients():
    random = np.random.default_rng(0)
    gradients = random.normal(size=(4, 5, 3)).astype("float32")
    gradients[1, 2] = gradients[2, 0] = gradients[3, :3] = 0
    return random.normal(size=(5, 3)).astype("float32"), gradients


def test_a_row_without_a_gradient_keeps_its_weights_and_moments(steps_of_gradients):
    weights, gradients = steps_of_gradients
    moved, optimizer = variable(weights), RowAdam(RATE)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [moved])
    np.testing.assert_allclose(moved.numpy(), adam(weights, gradients), rtol=1e-4)


def test_slices_move_the_rows_that_they_name(steps_of_gradients):
    import tensorflow as tf

    weights, gradients = steps_of_gradients
    moved, optimizer = variable(weights), RowAdam(RATE)
    for gradient in gradients:
        named = np.flatnonzero(np.any(gradient != 0, axis=1))[::-1].copy()
        optimizer.apply([tf.IndexedSlices(gradient[named], named, weights.shape)], [moved])
    np.testing.assert_allclose(moved.numpy(), adam(weights, gradients), rtol=1e-4)


def test_other_variables_move_as_keras_moves_them(steps_of_gradients):
    weights, gradients = steps_of_gradients
    moved = [variable(weights, marked=False) for _ in range(2)]
    for one, optimizer in zip(moved, (RowAdam(RATE), keras.optimizers.Adam(RATE)), strict=True):
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [one])
    np.testing.assert_array_equal(moved[0].numpy(), moved[1].numpy())


@pytest.mark.parametrize("architecture", ["shared_bottom", "mmoe"])
def test_large_variables_train_as_small_ones(architecture, monkeypatch):
    trained = []
    for large in (1 << 20, 0):
        monkeypatch.setattr(rows, "LARGE", large)
        model = small_model(architecture)
        steps, columns = create_steps(model, RowAdam(0.01)), make_columns(240)
        losses = [steps.train(columns.take(np.arange(240), 4)) for _ in range(3)]
        trained.append((losses, steps.snapshot()))
    np.testing.assert_allclose(trained[0][0], trained[1][0], rtol=1e-5)
    for small, large in zip(trained[0][1], trained[1][1], strict=True):
        np.testing.assert_allclose(small, large, rtol=1e-4, atol=1e-6)


def test_weights_of_a_domain_that_is_not_in_the_batch_stay():
    model = small_model("shared_bottom")
    steps, columns = create_steps(model, RowAdam(0.01)), make_columns(200)
    kernel = model.tower.weights[0]
    steps.train(columns.take(np.arange(200), 1))
    before = kernel.numpy()
    only = columns.domain_rows(1)
    steps.train(columns.take(only, 1))
    after = kernel.numpy()
    assert np.any(after[1] != before[1])
    np.testing.assert_array_equal(after[[0, 2, 3]], before[[0, 2, 3]])


def test_a_variable_moves_at_its_own_multiple_of_the_rate():
    slow, fast = (keras.Variable(np.ones(3), dtype="float32") for _ in range(2))
    slow.rate_factor = 0.25
    optimizer = RowAdam(0.1)
    optimizer.apply([keras.ops.ones(3), keras.ops.ones(3)], [slow, fast])
    np.testing.assert_allclose((1 - slow.numpy()) / (1 - fast.numpy()), 0.25, rtol=1e-5)
