"""The TFRS baseline against NumPy: cross layers (DCN V2, Eq. 1), dense layers, the Ranking task's loss."""

import numpy as np
from conftest_papers import ROWS, build, make_inputs, relu


def test_cross_layers_then_dense_layers_and_the_ranking_task_s_loss():
    inputs = make_inputs()
    model = build("tfrs_dcn", n_layers=2, units=(4,))
    x0 = model.embedding(inputs).numpy().reshape(ROWS, -1)
    w1, b1, w2, b2, w3, b3, w4, b4 = (weight.numpy() for weight in model._legacy.weights)
    x1 = x0 * (x0 @ w1 + b1) + x0
    x2 = x0 * (x1 @ w2 + b2) + x1
    expected = (relu(x2 @ w3 + b3) @ w4 + b4)[:, 0]
    logits = model(inputs)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    labels = np.arange(ROWS) % 2
    losses = np.logaddexp(0, expected) - labels * expected
    np.testing.assert_allclose(model.row_losses(labels, logits), losses, rtol=1e-3, atol=1e-3)


def test_the_stand_ins_are_the_legacy_layers_own_variables():
    model = build("tfrs_dcn", n_layers=1, units=(4,))
    before = model(make_inputs()).numpy()
    for weight in model.trainable_variables:
        weight.assign(weight.numpy() * 0)
    assert np.abs(before).max() > 0 and not model(make_inputs()).numpy().any()
