"""The layers of CGC, PLE, HMoE, STAR, SAR-Net, M2M and ADI against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from models.layers import domain as domain_layers
from models.layers.all_domains import AllDomainTowers
from models.layers.domain import DomainTower
from models.layers.domain_experts import DomainExperts
from models.layers.meta import MetaAttention, MetaTower
from models.layers.partitioned_norm import DomainScale, PartitionedNorm
from models.layers.star import StarDense, StarTower

RNG = np.random.default_rng(0)
DOMAIN = np.array([0, 1, 2, 2, 1, 0, 2], "int32")  # of 4 domains; 3 is absent
X = RNG.normal(size=(7, 3)).astype("float32")


def relu(x):
    return np.maximum(x, 0)


def randomise(layer):
    """Give every trainable weight its own random value, so that no two parts of a layer look alike."""
    for weight in layer.trainable_weights:
        weight.assign(RNG.normal(size=weight.shape))


@pytest.mark.parametrize("block_rows", [1, 2, 16])
def test_domain_experts_are_those_of_each_row_s_domain(check_layer, monkeypatch, block_rows):
    monkeypatch.setattr(domain_layers, "BLOCK_ROWS", block_rows)
    layer, domain = DomainExperts(4, 2, (5, 6)), np.array([0, 1, 2, 3, 1, 0, 2], "int32")
    check_layer(layer, X, domain, expected_shape=(7, 2, 6))
    randomise(layer)
    k1, b1, k2, b2 = (weight.numpy() for weight in layer.weights)
    for i, d in enumerate(domain):
        for e in range(2):
            expected = relu(relu(X[i] @ k1[d, e] + b1[d, e]) @ k2[d, e] + b2[d, e])
            np.testing.assert_allclose(layer(X, domain)[i, e], expected, rtol=1e-4, atol=1e-5)


def test_domain_experts_begin_alike_in_all_domains_but_not_in_one():
    layer = DomainExperts(4, 2, (5,))
    layer.build((None, 3))
    kernel = layer.kernels[0].numpy()
    assert (kernel == kernel[:1]).all()
    assert (kernel[0, 0] != kernel[0, 1]).all()


def test_dropout_of_domain_experts_acts_in_training_only():
    layer, x = DomainExperts(4, 3, (64,), dropout=0.5), np.ones((7, 3), "float32")
    plain, dropped = layer(x, DOMAIN).numpy(), layer(x, DOMAIN, training=True).numpy()
    np.testing.assert_array_equal(plain, layer(x, DOMAIN))
    lost = (dropped == 0) & (plain != 0)
    assert 0.3 < lost[plain != 0].mean() < 0.7
    np.testing.assert_allclose(dropped[~lost], 2 * plain[~lost], rtol=1e-5)


def test_all_domain_towers_answer_for_every_domain_as_the_tower_of_each():
    layer, one = AllDomainTowers(4, (5,)), DomainTower(4, (5,))
    got = layer(X, DOMAIN)
    randomise(layer)
    one.build(X.shape)
    one.set_weights(layer.get_weights())
    got = layer(X, DOMAIN)
    assert got.shape == layer.compute_output_shape(X.shape) == (7, 4)
    for d in range(4):
        np.testing.assert_allclose(got[:, d], one(X, np.full(7, d, "int32")), rtol=1e-4, atol=1e-5)


def test_a_row_moves_the_tower_of_its_own_domain_only(check_layer):
    layer, every = AllDomainTowers(4, (5,)), np.array([0, 1, 2, 3, 1, 0, 2], "int32")
    check_layer(layer, X, every, expected_shape=(7, 4))
    randomise(layer)
    x = tf.constant(X)
    for row, d in enumerate(every[:4]):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            scores = layer(x, every)
            own, others = scores[row, d], tf.reduce_sum(scores[row]) - scores[row, d]
        assert tape.gradient(own, x).numpy()[row].any()
        assert not tape.gradient(others, x).numpy().any()
        bias = layer.weights[-1].value  # of the logits, one per domain
        assert tf.convert_to_tensor(tape.gradient(own, bias)).numpy()[:, 0].tolist() == np.eye(4)[d].tolist()
        for weight in layer.trainable_weights:
            assert not np.any(tf.convert_to_tensor(tape.gradient(others, weight.value)))


@pytest.mark.parametrize("shared", [False, True])
def test_domain_scale_by_hand(check_layer, shared):
    layer, every = DomainScale(4, shared), np.array([0, 1, 2, 3, 1, 0, 2], "int32")
    check_layer(layer, X, every, expected_shape=(7, 3))
    np.testing.assert_array_equal(layer(X, DOMAIN), X)  # begins as nothing
    randomise(layer)
    gamma, beta, *both = (weight.numpy() for weight in layer.weights)
    shared_gamma, shared_beta = both if shared else (1, 0)
    expected = X * gamma[DOMAIN] * shared_gamma + beta[DOMAIN] + shared_beta
    np.testing.assert_allclose(layer(X, DOMAIN), expected, rtol=1e-5)


class Moments:
    """What `PartitionedNorm` must remember, domain by domain and in float64."""

    def __init__(self, n_domains, width, memory):
        self.rows = np.ones(n_domains)
        self.mean, self.variance = np.zeros((n_domains, width)), np.ones((n_domains, width))
        self.memory = memory

    def pooled(self, x, d, weight):
        """Moments of the rows x and `weight` rows with the running moments, by the definition."""
        total = weight + len(x)
        mean = (weight * self.mean[d] + x.sum(0)) / total
        square = (weight * (self.variance[d] + self.mean[d] ** 2) + (x**2).sum(0)) / total
        return mean, square - mean**2

    def train(self, x, domain, epsilon):
        y = np.empty_like(x)
        for d in np.unique(domain):
            own = domain == d
            mean, variance = self.pooled(x[own], d, 1)
            y[own] = (x[own] - mean) / np.sqrt(variance + epsilon)
            self.mean[d], self.variance[d] = self.pooled(x[own], d, self.rows[d])
            self.rows[d] = min(self.rows[d] + own.sum(), self.memory)
        return y


@pytest.mark.parametrize("shared", [False, True])
def test_partitioned_norm_in_training_and_at_inference(check_layer, shared):
    layer = PartitionedNorm(4, shared, memory=20, epsilon=1e-3)
    check_layer(layer, X, np.array([0, 1, 2, 3, 1, 0, 2], "int32"), expected_shape=(7, 3))
    randomise(layer)
    gamma, beta, *both = (weight.numpy() for weight in layer.trainable_weights)
    shared_gamma, shared_beta = both if shared else (1, 0)

    def scaled(x, domain):
        return x * gamma[domain] * shared_gamma + beta[domain] + shared_beta

    wanted, centre = Moments(4, 3, memory=20), RNG.normal(size=(4, 3)) * 3
    for step in range(6):
        domain = RNG.choice(3, size=12, p=(0.85, 0.1, 0.05)).astype("int32")
        # 3, the unknown domain, stays absent; 1 and 2 have a single row or none at times.
        domain[0] = step % 2
        x = (centre[domain] + RNG.normal(size=(12, 3))).astype("float32")
        expected = scaled(wanted.train(x.astype("float64"), domain, 1e-3), domain)
        np.testing.assert_allclose(layer(x, domain, training=True), expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(layer.mean, wanted.mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(layer.variance, wanted.variance, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(layer.rows[:, 0], wanted.rows)
    assert wanted.rows[0] == 20 and wanted.rows[3] == 1
    np.testing.assert_array_equal(layer.mean[3], 0)  # an absent domain keeps its state
    np.testing.assert_array_equal(layer.variance[3], 1)
    before = layer.get_weights()
    every = np.arange(4, dtype="int32")
    plain = (X[:4] - wanted.mean) / np.sqrt(wanted.variance + 1e-3)
    np.testing.assert_allclose(layer(X[:4], every), scaled(plain, every), rtol=1e-3, atol=1e-4)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)  # inference changes nothing


def test_partitioned_norm_of_many_rows_is_batch_normalisation():
    layer, domain = PartitionedNorm(3), np.repeat([0, 1], 5000).astype("int32")
    x = np.where(domain[:, None], 5.0, -2.0) + RNG.normal(size=(10000, 2)) * (1 + domain[:, None])
    x = x.astype("float32")
    y = layer(x, domain, training=True).numpy()
    for d in (0, 1):
        own = domain == d
        np.testing.assert_allclose(y[own].mean(0), 0, atol=2e-3)
        np.testing.assert_allclose(y[own].std(0), 1, atol=5e-3)
        np.testing.assert_allclose(layer.mean[d], x[own].mean(0), rtol=1e-3)
        np.testing.assert_allclose(layer.variance[d], x[own].var(0), rtol=5e-3)


@pytest.mark.parametrize("rows", [1, 2])
def test_partitioned_norm_of_single_rows_is_finite_and_learns_their_spread(rows):
    layer = PartitionedNorm(3, memory=100)
    single = np.array([2, 0], "int32")[:rows]  # 2 being the unknown domain
    for _ in range(150):
        x = (7 + 3 * RNG.normal(size=(rows, 2))).astype("float32")
        with tf.GradientTape() as tape:
            y = layer(x, single, training=True)
            gradients = tape.gradient(tf.reduce_sum(y**2), [layer._scale.gamma.value])
        assert np.isfinite(y).all()
        assert np.isfinite(tf.convert_to_tensor(gradients[0])).all()
    np.testing.assert_allclose(layer.mean[2], 7, atol=1.5)
    np.testing.assert_allclose(layer.variance[2], 9, rtol=0.5)


def test_partitioned_norm_lets_the_batch_s_moments_pass_gradients():
    layer = PartitionedNorm(2)
    x, domain = tf.constant(RNG.normal(size=(400, 1)).astype("float32")), np.zeros(400, "int32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        first = layer(x, domain, training=True)[0, 0]
    gradient = tape.gradient(first, x).numpy()[:, 0]
    y = layer(x, domain, training=True).numpy()[:, 0]  # d y_0 / d x_j = (1_j0 - (1 + y_0 y_j) / n) / sigma
    expected = (np.eye(400)[0] - (1 + y[0] * y) / 400) / x.numpy().std()
    assert np.linalg.norm(gradient[1:] - expected[1:]) < 0.02 * np.linalg.norm(expected[1:])
    assert gradient[0] == pytest.approx(expected[0], rel=0.02)


@pytest.mark.parametrize("block_rows", [1, 2, 16])
def test_star_dense_multiplies_the_shared_weights_by_the_domain_s(check_layer, monkeypatch, block_rows):
    monkeypatch.setattr(domain_layers, "BLOCK_ROWS", block_rows)
    layer, every = StarDense(4, 2, activation="relu"), np.array([0, 1, 2, 3, 1, 0, 2], "int32")
    check_layer(layer, X, every, expected_shape=(7, 2))
    shared = layer.shared_kernel.numpy()
    np.testing.assert_allclose(layer(X, DOMAIN), relu(X @ shared), rtol=1e-4, atol=1e-6)  # all begin alike
    randomise(layer)
    w, b = layer.shared_kernel.numpy(), layer.shared_bias.numpy()
    w_d, b_d = layer.kernel.numpy(), layer.bias.numpy()
    expected = [relu(x @ (w * w_d[d]) + b + b_d[d]) for x, d in zip(X, every, strict=True)]
    np.testing.assert_allclose(layer(X, every), expected, rtol=1e-4, atol=1e-5)


def test_star_tower_is_a_chain_of_star_layers(check_layer):
    layer, every = StarTower(4, (5, 6)), np.array([0, 1, 2, 3, 1, 0, 2], "int32")
    check_layer(layer, X, every, expected_shape=(7,))
    randomise(layer)
    first, second, logit = (*layer._hidden, layer._logit)
    expected = logit(second(first(X, DOMAIN), DOMAIN), DOMAIN)[:, 0]
    np.testing.assert_allclose(layer(X, DOMAIN), expected, rtol=1e-5)


def generated(meta, x, z):
    """x W(z) + b(z) of one row, from the weights of a `GeneratedDense`."""
    generator, base, bias = (w.numpy().astype("float64") for w in (meta.generator, meta.base, meta.bias))
    return x @ (z @ generator + base).reshape(len(x), -1) + z @ bias


def leaky_relu(x):
    return np.where(x > 0, x, 0.2 * x)


def test_meta_attention_by_hand(check_layer):
    experts, z = RNG.normal(size=(7, 3, 4)).astype("float32"), RNG.normal(size=(4, 5)).astype("float32")
    layer, condition = MetaAttention(4, 6), z[DOMAIN]
    check_layer(layer, experts, DOMAIN, condition, expected_shape=(7, 4))
    randomise(layer)
    v = layer._score.kernel.numpy()[:, 0]
    for i in range(7):
        scores = [leaky_relu(generated(layer._meta, e, condition[i])) @ v for e in experts[i]]
        weights = np.exp(scores) / np.sum(np.exp(scores))
        expected = weights @ experts[i]
        np.testing.assert_allclose(layer(experts, DOMAIN, condition)[i], expected, rtol=1e-4, atol=1e-5)


def test_meta_tower_by_hand(check_layer):
    z = RNG.normal(size=(4, 5)).astype("float32")
    layer, condition = MetaTower(4, 2), z[DOMAIN]
    check_layer(layer, X, DOMAIN, condition, expected_shape=(7,))
    randomise(layer)
    kernel, bias = (weight.numpy() for weight in layer._logit.weights)
    for i in range(7):
        hidden = X[i].astype("float64")
        for meta in layer._metas:
            hidden = leaky_relu(generated(meta, hidden, condition[i]) + hidden)
        expected = (hidden @ kernel + bias)[0]
        np.testing.assert_allclose(layer(X, DOMAIN, condition)[i], expected, rtol=1e-4)
