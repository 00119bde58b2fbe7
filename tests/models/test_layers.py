"""Each layer's equation against NumPy, and what every layer must do."""

import keras
import numpy as np
import pytest
from conftest_models import SPEC, make_inputs

from models.features import FeatureSpec
from models.layers import domain as domain_layers
from models.layers.domain import DomainDense, DomainTower
from models.layers.embedding import FieldEmbedding
from models.layers.generated import GeneratedDense
from models.layers.mlp import MLP, Experts

RNG = np.random.default_rng(0)


def relu(x):
    return np.maximum(x, 0)


def values(layer):
    return {weight.path.split("/")[-1]: weight.numpy() for weight in layer.weights}


def randomise(layer):
    """Give every weight its own random value, so that no two parts of a layer look alike."""
    for weight in layer.weights:
        weight.assign(RNG.normal(size=weight.shape))


def test_field_embedding_by_hand(check_layer):
    layer, inputs = FieldEmbedding(SPEC, dim=4), make_inputs(6)
    inputs["tags"][0] = 0  # no value at all
    check_layer(layer, inputs, expected_shape=(6, 5, 4))
    table, numeric = layer.table.numpy(), layer.numeric.numpy()
    item_row, tags_row, domain_row = 30, 50, 58  # the single-valued fields first, then sequences, the domain
    got = layer(inputs).numpy()
    for i in range(6):
        present = [table[tags_row + tag] for tag in inputs["tags"][i] if tag > 0]
        expected = [
            table[inputs["user"][i]],
            np.mean(present, axis=0) if present else np.zeros(4),
            inputs["price"][i] * numeric[0],
            table[item_row + inputs["item"][i]],
            table[domain_row + inputs["channel"][i]],
        ]
        np.testing.assert_allclose(got[i], expected, atol=1e-6)


def test_embedding_penalty_is_of_the_batch_s_rows():
    layer = FieldEmbedding(SPEC, dim=4, l2=0.5)
    fields = layer(make_inputs(6)).numpy()
    np.testing.assert_allclose(layer.losses[0], 0.5 * np.mean(np.sum(fields**2, axis=(1, 2))), rtol=1e-5)


def test_a_spec_without_features_is_the_domain_alone():
    layer = FieldEmbedding(FeatureSpec(fields=(), domain="d", domains=("a",)), dim=2)
    assert layer({"d": np.array([0, 1], "int32")}).shape == (2, 1, 2)


def test_an_embedding_can_leave_the_domain_out(check_layer):
    inputs = make_inputs(6)
    with_domain, without = FieldEmbedding(SPEC, dim=4), FieldEmbedding(SPEC, dim=4, with_domain=False)
    del inputs["channel"]
    check_layer(without, inputs, expected_shape=(6, 4, 4))
    assert without.compute_output_shape({"price": (6,)}) == (6, 4, 4)
    fields = with_domain({**inputs, "channel": np.zeros(6, "int32")})
    rows = without.table.shape[0]
    assert with_domain.table.shape[0] == rows + SPEC.n_domains + 1
    without.table.assign(with_domain.table[:rows])
    without.numeric.assign(with_domain.numeric)
    np.testing.assert_array_equal(without(inputs), fields[:, :-1])


def test_mlp_by_hand(check_layer):
    x, layer = RNG.normal(size=(5, 3)).astype("float32"), MLP((4, 2))
    check_layer(layer, x, expected_shape=(5, 2))
    w1, b1, w2, b2 = (weight.numpy() for weight in layer.weights)
    np.testing.assert_allclose(layer(x), relu(relu(x @ w1 + b1) @ w2 + b2), rtol=1e-5)


def test_experts_by_hand(check_layer):
    x, layer = RNG.normal(size=(5, 3)).astype("float32"), Experts(4, (6, 2))
    check_layer(layer, x, expected_shape=(5, 4, 2))
    randomise(layer)
    weights = values(layer)
    for e in range(4):
        hidden = relu(x @ weights["kernel_0"][e] + weights["bias_0"][e])
        expected = relu(hidden @ weights["kernel_1"][e] + weights["bias_1"][e])
        np.testing.assert_allclose(layer(x)[:, e], expected, rtol=1e-5)


@pytest.mark.parametrize("block_rows", [1, 2, 16])
def test_domain_dense_uses_the_weights_of_each_row_s_domain(check_layer, monkeypatch, block_rows):
    monkeypatch.setattr(domain_layers, "BLOCK_ROWS", block_rows)
    x, domain = RNG.normal(size=(7, 3)).astype("float32"), np.array([0, 1, 2, 2, 1, 0, 3], "int32")
    layer = DomainDense(4, 2)
    check_layer(layer, x, domain, expected_shape=(7, 2))
    randomise(layer)
    kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
    expected = np.stack([x[i] @ kernel[d] + bias[d] for i, d in enumerate(domain)])
    np.testing.assert_allclose(layer(x, domain), expected, rtol=1e-4, atol=1e-5)


def test_all_domains_begin_alike():
    layer = DomainDense(5, 3)
    layer.build((None, 4))
    kernel = layer.kernel.numpy()
    assert (kernel == kernel[:1]).all()
    assert np.unique(kernel[0]).size == 12


def test_domain_tower_by_hand_and_for_one_row(check_layer):
    x, domain = RNG.normal(size=(4, 3)).astype("float32"), np.array([0, 1, 2, 0], "int32")
    layer = DomainTower(3, (5,))
    check_layer(layer, x, domain, expected_shape=(4,))
    randomise(layer)
    k1, b1, k2, b2 = (weight.numpy() for weight in layer.weights)
    expected = [(relu(x[i] @ k1[d] + b1[d]) @ k2[d] + b2[d])[0] for i, d in enumerate(domain)]
    np.testing.assert_allclose(layer(x, domain), expected, rtol=1e-4)
    np.testing.assert_allclose(layer(x[:1], domain[:1]), expected[:1], rtol=1e-4)


def test_dropout_acts_in_training_only():
    x = np.ones((200, 8), "float32")
    for layer in (MLP((16,), dropout=0.5), Experts(2, (16,), dropout=0.5)):
        np.testing.assert_array_equal(layer(x), layer(x))
        assert np.any(keras.ops.convert_to_numpy(layer(x, training=True)) != layer(x).numpy())


@pytest.mark.parametrize("n_domains", [0, 3], ids=["by row", "by domain"])
@pytest.mark.parametrize("rank", [0, 2], ids=["exact", "low rank"])
def test_generated_weights_are_those_of_each_row_s_condition(check_layer, rank, n_domains):
    x, domain = RNG.normal(size=(7, 3)).astype("float32"), np.array([0, 1, 2, 2, 1, 0, 2], "int32")
    z = RNG.normal(size=(3, 5)).astype("float32")[domain]
    layer = GeneratedDense(4, rank=rank, n_domains=n_domains, activation="relu")
    inputs = (x, z, domain) if n_domains else (x, z)
    check_layer(layer, *inputs, expected_shape=(7, 4))
    randomise(layer)
    w = values(layer)
    for i in range(7):
        inner = (z[i] @ w["generator"] + w["base"]).reshape((2, 2) if rank else (3, 4))
        kernel = w["left"] @ inner @ w["right"] if rank else inner
        np.testing.assert_allclose(
            layer(*inputs)[i], relu(x[i] @ kernel + z[i] @ w["bias"]), rtol=1e-4, atol=1e-5
        )


def test_a_copy_of_the_embeddings_is_a_layer_of_its_own(check_layer):
    layer, inputs, copy = (
        FieldEmbedding(SPEC, dim=4, copies=3),
        make_inputs(9),
        np.arange(9, dtype="int32") % 3,
    )
    check_layer(layer, inputs, copy, expected_shape=(9, 5, 4))
    table, numeric = layer.table.numpy(), layer.numeric.numpy()
    for i in range(3):
        alone = FieldEmbedding(SPEC, dim=4)
        alone(inputs)
        of_copy, of_domains = table[58 * i : 58 * i + 58], table[58 * 3 :]
        alone.set_weights([np.concatenate([of_copy, of_domains]), numeric[i : i + 1]])
        np.testing.assert_array_equal(layer(inputs, copy)[copy == i], alone(inputs)[copy == i])
