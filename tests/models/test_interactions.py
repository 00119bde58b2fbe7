"""Each interaction of fields against its sum written out, and what every layer must do."""

from itertools import combinations

import numpy as np
import pytest

from models.layers.interactions import CompressedInteraction, FieldAttention, VectorCross, bi_interaction

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.normal(size=shape).astype("float32")


def randomise(layer):
    """Give every weight its own random value; return the values."""
    for weight in layer.weights:
        weight.assign(RNG.normal(size=weight.shape))
    return {weight.path.split("/")[-1]: weight.numpy() for weight in layer.weights}


@pytest.mark.parametrize("n_fields", [1, 2, 5])
def test_bi_interaction_is_the_sum_over_pairs(n_fields):
    v = random(3, n_fields, 4)
    expected = sum((v[:, i] * v[:, j] for i, j in combinations(range(n_fields), 2)), np.zeros((3, 4)))
    np.testing.assert_allclose(bi_interaction(v), expected, rtol=1e-4, atol=1e-6)


def test_vector_cross_by_hand(check_layer):
    x0, x, layer = random(6, 4), random(6, 4), VectorCross()
    check_layer(layer, x0, x, expected_shape=(6, 4))
    w = randomise(layer)
    for i in range(6):
        expected = np.outer(x0[i], x[i]) @ w["kernel"][:, 0] + w["bias"] + x[i]
        np.testing.assert_allclose(layer(x0, x)[i], expected, rtol=1e-4, atol=1e-5)


def test_cin_by_hand(check_layer):
    x0, layer = random(2, 3, 4), CompressedInteraction((5, 2))
    check_layer(layer, x0, expected_shape=(2, 7))
    w = randomise(layer)
    x, expected = x0, []
    for k, units in enumerate((5, 2)):
        kernel = w[f"kernel_{k}"].reshape(x.shape[1], 3, units)
        maps = np.zeros((2, units, 4))
        for h in range(units):
            for i in range(x.shape[1]):
                for j in range(3):
                    maps[:, h] += kernel[i, j, h] * x[:, i] * x0[:, j]
        x = maps
        expected.append(x.sum(axis=2))
    np.testing.assert_allclose(layer(x0), np.concatenate(expected, axis=1), rtol=1e-4, atol=1e-5)


def test_field_attention_by_hand(check_layer):
    e, layer = random(2, 3, 4), FieldAttention(n_heads=2, units=5)
    check_layer(layer, e, expected_shape=(2, 3, 10))
    w = randomise(layer)
    for row in range(2):
        for m in range(3):
            heads = []
            for h in range(2):
                query, key, value = (w[name][:, 5 * h : 5 * h + 5] for name in ("query", "key", "value"))
                scores = np.array([(e[row, m] @ query) @ (e[row, k] @ key) for k in range(3)])
                a = np.exp(scores - scores.max())
                a /= a.sum()
                heads.append(sum(a[k] * (e[row, k] @ value) for k in range(3)))
            expected = np.maximum(np.concatenate(heads) + e[row, m] @ w["residual"], 0)
            np.testing.assert_allclose(layer(e)[row, m], expected, rtol=1e-4, atol=1e-5)
