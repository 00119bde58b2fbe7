"""D3: division (Eq. 6-10), modelling (Eq. 11-14) and balance (Eq. 15-19), against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from models.architectures.base import create_model
from models.features import FeatureSpec, InputField
from models.layers.domain_balance import DomainBalance
from models.layers.domain_fusion import DomainFusion
from models.layers.domain_means import DomainMeans
from models.layers.feature_selection import DomainSensitiveFeatureSelection
from models.layers.star import FusedStarTower, StarTower
from models.layers.transformation import TransformationLayer
from models.registry import check
from models.settings import LearningSettings, ModelSettings

BATCH, FIELDS, DIM = 6, 4, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH, FIELDS, DIM)).astype("float32")
IN = RNG.normal(size=(BATCH, 5)).astype("float32")
GATES = np.stack([(g := RNG.uniform(0.2, 0.8, BATCH)), 1 - g], axis=1).astype("float32")


def relu(x):
    return np.maximum(x, 0)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def random_weights(layer, scale=0.5):
    rng = np.random.default_rng(3)
    for weight in layer.trainable_variables:
        weight.assign(rng.normal(scale=scale, size=weight.shape))
    return layer


def gradients(layer, *inputs):
    with tf.GradientTape() as tape:
        outputs = layer(*inputs)
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        total = tf.reduce_sum(tf.sin(first))
    return tape.gradient(total, [weight.value for weight in layer.trainable_variables])


def test_fields_are_selected_by_attention_among_them():
    layer = DomainSensitiveFeatureSelection()
    layer(X)
    random_weights(layer)
    selected, attention = layer(X)
    q, k = X @ layer.query.numpy(), X @ layer.key.numpy()
    a = softmax(q @ k.transpose(0, 2, 1))
    np.testing.assert_allclose(attention, a, rtol=1e-4)
    np.testing.assert_allclose(selected, a @ X + X, rtol=1e-4, atol=1e-6)
    for gradient in gradients(layer, X):
        assert np.all(np.abs(gradient) > 0)


def test_the_gate_is_a_softmax_over_two():
    layer = DomainFusion(5)
    np.testing.assert_allclose(layer(0.01 * X), 0.5, atol=0.02)  # of embeddings as they begin
    random_weights(layer)
    w1, b1, w2, b2 = (weight.numpy() for weight in layer.weights)
    np.testing.assert_allclose(layer(X), softmax(relu(X.reshape(BATCH, -1) @ w1 + b1) @ w2 + b2), rtol=1e-4)


def known(layer):
    """sigma(H + sigma(H W1 + b1)) of Eq. 9-10."""
    kernel, bias = layer.field_kernel.numpy(), layer.field_bias.numpy()
    h = np.concatenate([X[:, j] @ kernel[j] + bias[j] for j in range(FIELDS)], axis=1)
    return relu(h + relu(h @ layer.inner_kernel.numpy() + layer.inner_bias.numpy()))


def transformed(layer, w_dfs2, gates):
    """Eq. 10, 13 and 14, row by row."""
    rows = []
    for x, r, g in zip(IN, known(layer), GATES, strict=True):
        w = np.einsum("h,hio->io", r, w_dfs2) + layer.base.numpy()
        b = r @ layer.bias_generator.numpy() + layer.bias_base.numpy()
        if gates:
            w = (g[0] * w) * (g[1] * layer.shared_kernel.numpy())
            b = (g[0] * b) * (g[1] * layer.shared_bias.numpy())
        rows.append(relu(x @ w + b))
    return rows


@pytest.mark.parametrize("gates", [(GATES,), ()], ids=["fused", "specific"])
def test_every_row_has_weights_and_a_bias_of_its_own(gates):
    layer = TransformationLayer(7, hidden=2, rank=None)
    layer(IN, X, *gates)
    random_weights(layer)
    w_dfs2 = layer.generator.numpy().reshape(-1, 5, 7)
    np.testing.assert_allclose(layer(IN, X, *gates), transformed(layer, w_dfs2, gates), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("gates", [(GATES,), ()], ids=["fused", "specific"])
def test_low_rank_is_exact_for_a_generator_of_that_rank(gates):
    low, exact = TransformationLayer(7, hidden=2, rank=3), TransformationLayer(7, hidden=2, rank=None)
    for layer in (low, exact):
        layer(IN, X, *gates)
    random_weights(low)
    w_dfs2 = np.einsum("hr,ri,ro->hio", *(weight.numpy() for weight in (low.scores, low.left, low.right)))
    exact.generator.assign(w_dfs2.reshape(8, 35))
    shared = {weight.name: weight for weight in low.weights}
    for weight in exact.weights:
        if weight.name != "generator":
            weight.assign(shared[weight.name])
    np.testing.assert_allclose(low(IN, X, *gates), exact(IN, X, *gates), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(low(IN, X, *gates), transformed(low, w_dfs2, gates), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("rank", [2, None])
def test_a_generated_layer_begins_as_an_ordinary_one_and_trains_every_weight(rank):
    x, fields, halves = (
        RNG.normal(size=(500, 30)),
        0.01 * RNG.normal(size=(500, 4, 3)),
        np.full((500, 2), 0.5),
    )
    rows = [array.astype("float32") for array in (x, fields, halves)]
    deviation = np.std(rows[0] @ np.random.default_rng(0).uniform(-1, 1, (30, 20)) * (6 / 50) ** 0.5)
    for gates in (rows[2:], []):
        layer = TransformationLayer(20, hidden=2, rank=rank, activation=None)
        assert np.std(layer(*rows[:2], *gates)) == pytest.approx(deviation, rel=0.15)
    random_weights(layer)
    for weight, gradient in zip(layer.trainable_variables, gradients(layer, *rows[:2]), strict=True):
        assert np.any(gradient != 0), weight.path
    again = TransformationLayer.from_config(layer.get_config())
    assert (again.units, again.hidden, again.rank) == (20, 2, rank)


def test_a_fused_star_weighs_both_parts_and_begins_as_the_plain_one():
    domain = np.array([0, 1, 2, 2, 1, 0], "int32")
    plain, fused = StarTower(3, (4,)), FusedStarTower(3, (4,))
    plain(IN, domain)
    fused(IN, domain, gates=GATES)
    for one, other in zip(plain.weights, fused.weights, strict=True):
        if one.name == "shared_kernel":
            other.assign(one)
    np.testing.assert_allclose(
        fused(IN, domain, gates=np.full((6, 2), 0.5, "float32")), plain(IN, domain), rtol=1e-4
    )
    random_weights(fused)
    expected = []
    for x, d, (g_sp, g_sh) in zip(IN, domain, GATES, strict=True):
        for layer in (*fused._hidden, fused._logit):
            w, b = layer.shared_kernel.numpy(), layer.shared_bias.numpy()
            w_d, b_d = layer.kernel.numpy()[d], layer.bias.numpy()[d]
            x = x @ ((g_sp * w_d) * (g_sh * w)) + g_sp * b_d + g_sh * b
            x = x if layer is fused._logit else relu(x)
        expected.append(x[0])
    np.testing.assert_allclose(fused(IN, domain, gates=GATES), expected, rtol=1e-4, atol=1e-6)


def attentions(rows=6, n=4):
    return softmax(np.random.default_rng(5).normal(scale=2, size=(rows, n, n))).astype("float32")


def test_weights_follow_entropy_and_specificity():
    layer, a = DomainBalance(shift=0.3, scale=0.8), attentions()
    layer.build()
    c = -(a * np.log(a)).sum((1, 2)) / 4
    spread = np.clip((c - c.mean()) / (2 * c.std()) + 0.5, 0.1, 1.0)
    assert spread.min() == 0.1 and len(set(spread)) > 3  # both the clip and what is between
    w_cpl, w_spf = layer.complexity(a), layer.specificity(GATES)
    np.testing.assert_allclose(w_cpl, 0.3 + 0.8 * spread, rtol=1e-4)
    np.testing.assert_allclose(w_spf, 0.3 + 0.8 * GATES[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(layer(w_cpl, w_spf), np.ones(6))  # until they are on
    layer.on.assign(1.0)
    np.testing.assert_allclose(layer(w_cpl, w_spf), w_cpl * w_spf, rtol=1e-5)


def test_weights_are_constants_to_the_gradient():
    layer = DomainBalance()
    layer.build()
    a, g = tf.constant(attentions()), tf.constant(GATES)
    with tf.GradientTape() as tape:
        tape.watch([a, g])
        total = tf.reduce_sum(layer.complexity(a) * layer.specificity(g))
    assert tape.gradient(total, [a, g]) == [None, None]


@pytest.mark.parametrize(
    "a",
    [attentions(1), np.ones((5, 1, 1), "float32"), np.repeat(attentions(1), 7, 0)],
    ids=["row", "field", "equal"],
)
def test_without_a_spread_every_row_weighs_the_same(a):
    np.testing.assert_allclose(DomainBalance().complexity(a), 0.5 + 0.5, rtol=1e-6)
    np.testing.assert_allclose(DomainBalance().complexity(np.zeros((3, 2, 2), "float32") + np.eye(2)), 1.0)


def test_means_follow_the_domains_of_a_batch_and_leave_the_others():
    layer = DomainMeans(4, 2, momentum=0.9)
    layer.build()
    assert not layer.means.numpy().any() and not layer.seen.numpy().any()
    means, batches = np.zeros((4, 2)), [[0, 0, 3, 0], [0, 3, 3, 3], [1, 1, 1, 1]]
    known = set()
    for domain in batches:
        values = RNG.normal(size=(4, 2)).astype("float32")
        layer.update(values, np.array(domain, "int32"))
        for d in set(domain):
            mean = values[np.array(domain) == d].mean(0)
            means[d] = 0.9 * means[d] + 0.1 * mean if d in known else mean
        known |= set(domain)
        np.testing.assert_allclose(layer.means, means, rtol=1e-4)
    np.testing.assert_array_equal(layer.seen[:, 0], [1, 1, 0, 1])


# The plug-in in the architectures.

SPEC = FeatureSpec(
    fields=(
        InputField(name="user", kind="categorical", size=9),
        InputField(name="x", kind="numeric"),
        InputField(name="item", kind="categorical", size=7, group="context"),
    ),
    domain="channel",
    domains=("news", "sport"),
)
WHOLE, PARTIAL = ("shared_bottom", "mmoe", "m2m", "adi"), ("star", "sar_net")


def rows(n=9, seed=1):
    rng = np.random.default_rng(seed)
    return {
        "user": rng.integers(0, 9, n).astype("int32"),
        "x": rng.normal(size=n).astype("float32"),
        "item": rng.integers(0, 7, n).astype("int32"),
        "channel": rng.integers(0, 3, n).astype("int32"),  # the unknown domain, 2, among them
    }


def built(architecture, spec=SPEC, plugins=("d3",), settings=None, **own):
    model = ModelSettings(
        architecture=architecture,
        settings=settings or {},
        plugins=plugins,
        plugin_settings={"d3": own},
        embedding_dim=4,
        unknown_domain_share=0,
    )
    return create_model(spec, model)


def conditions(model, inputs):
    """x', A and g of some rows."""
    fields = model.embedding(inputs)
    attention = None
    if model.d3_selection is not None:
        fields, attention = model.d3_selection(fields)
    return fields, attention, None if model.d3_fusion is None else model.d3_fusion(fields)


@pytest.mark.parametrize("fusion", [True, False])
@pytest.mark.parametrize("architecture", ["shared_bottom", "mmoe"])
def test_the_towers_are_replaced(architecture, fusion):
    model, inputs = random_weights(built(architecture, fusion=fusion)), rows()
    x = model.represent(model.embedding(inputs), inputs["channel"], False)
    fields, _, gates = conditions(model, inputs)
    assert (gates is None) == (not fusion) and model.tower.layer.units == model.settings.tower_units[0]
    hidden = model.tower.layer(x, fields, gates)
    np.testing.assert_allclose(model(inputs), model.tower.logit(hidden)[:, 0], rtol=1e-4, atol=1e-5)


def test_in_m2m_what_is_generated_from_the_scenario_is_replaced():
    model, inputs = random_weights(built("m2m")), rows()
    fields, _, gates = conditions(model, inputs)
    experts = model.experts(ops.reshape(model.embedding(inputs), (9, -1)))
    hidden = model.scenario.layer(ops.reshape(experts, (9, -1)), fields, gates)
    assert hidden.shape[1] == model.settings.expert_units[-1]
    np.testing.assert_allclose(model(inputs), model.scenario.logit(hidden)[:, 0], rtol=1e-4, atol=1e-3)


def test_in_adi_the_networks_are_replaced_and_the_towers_stay():
    model, inputs = random_weights(built("adi")), rows()
    e, domain = model.embedding(inputs)[:, :-1], inputs["channel"]
    scale = model.excite(model.squeeze(ops.mean(e, axis=2), domain), domain)
    x = model.norm(ops.reshape(e * scale[:, :, None], (9, -1)), domain)
    fields, _, gates = conditions(model, inputs)
    expected = model.tower(model.scenario.layer(x, fields, gates), domain)
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4, atol=1e-5)
    assert len(model.tower.weights) == 4


def test_star_and_sar_net_fuse_their_own_parts():
    model, inputs = random_weights(built("sar_net")), rows()
    gates = conditions(model, inputs)[2].numpy()
    before = model(inputs).numpy()
    own, shared = RNG.normal(size=(9, 2, 3)), RNG.normal(size=(9, 4, 3))
    fused = model.fuse(own, shared)
    np.testing.assert_allclose(fused[0], gates[:, :1, None] * own, rtol=1e-5)
    np.testing.assert_allclose(fused[1], gates[:, 1:, None] * shared, rtol=1e-5)
    for architecture in PARTIAL:
        model = random_weights(built(architecture))
        before = model(inputs).numpy()
        model.d3_fusion.weights[-1].assign([3.0, -3.0])
        assert np.abs(model(inputs).numpy() - before).max() > 1e-3
        assert model.d3_selection is None


@pytest.mark.parametrize("architecture", [*WHOLE, *PARTIAL])
def test_losses_are_weighed_once_the_weights_are_on(architecture):
    model, inputs = random_weights(built(architecture)), rows()
    losses = np.arange(1.0, 10.0, dtype="float32")
    model(inputs, training=True)
    np.testing.assert_array_equal(model.weigh(losses, inputs), losses)
    assert not model.reached(0.4) and model.reached(0.5) and not model.reached(1.0)
    _, attention, gates = conditions(model, inputs)
    expected = losses * model.d3_balance.specificity(gates)
    if architecture in WHOLE:
        expected = expected * model.d3_balance.complexity(attention)
    np.testing.assert_allclose(model.weigh(losses, inputs), expected, rtol=1e-4)
    assert not built(architecture, balance=False).reached(1.0)


@pytest.mark.parametrize("architecture", [*WHOLE, *PARTIAL])
def test_every_weight_gets_a_gradient(architecture):
    model = random_weights(built(architecture))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.row_losses(np.ones(64), model(rows(64))))
    found = tape.gradient(loss, [weight.value for weight in model.trainable_variables])
    for weight, gradient in zip(model.trainable_variables, found, strict=True):
        assert gradient is not None and np.any(tf.convert_to_tensor(gradient) != 0), weight.path


def test_figures_are_means_by_domain_and_none_for_one_never_seen():
    model, inputs = random_weights(built("mmoe")), rows() | {"channel": np.full(9, 1, "int32")}
    model(inputs, training=True)
    model.weigh(np.ones(9, "float32"), inputs)
    _, attention, gates = conditions(model, inputs)
    said = model.figures()["d3"]
    assert (said["fields"], said["weights_on"]) == (["user", "x", "item", "channel"], False)
    assert said["domains"]["news"] == {"complexity": None, "specificity": None, "attention": None}
    sport = said["domains"]["sport"]
    np.testing.assert_allclose(sport["attention"], np.mean(attention, axis=(0, 1)), rtol=1e-4)
    assert sport["complexity"] == pytest.approx(np.mean(model.d3_balance.complexity(attention)), rel=1e-4)
    assert sport["specificity"] == pytest.approx(0.5 + np.mean(gates[:, 0]), rel=1e-4)


def test_odd_inputs_get_finite_answers():
    one = FeatureSpec(fields=(), domain="channel", domains=("only",))
    constant = {**rows(), "x": np.zeros(9, "float32")}
    single = {name: array[:1] for name, array in rows().items()}
    nobody = {**rows(), "channel": np.array([-1, 2, 99] * 3, "int32")}
    for architecture in (*WHOLE, *PARTIAL):
        for spec, inputs in (
            (one, {"channel": np.zeros(3, "int32")}),
            *((SPEC, i) for i in (constant, single, nobody)),
        ):
            model = random_weights(built(architecture, spec))
            model.reached(1.0)
            outputs = model(inputs, training=True)
            weighed = model.weigh(np.ones(len(outputs), "float32"), inputs)
            assert np.isfinite(outputs).all() and np.isfinite(weighed).all()
            assert np.isfinite(model.d3_means.means).all()
    outputs = model(nobody)
    np.testing.assert_array_equal(outputs, model({**nobody, "channel": np.full(9, 2, "int32")}))


def test_an_architecture_that_d3_does_not_know_is_named():
    fits = "it fits: shared_bottom, mmoe, m2m, adi, star, sar_net"
    with pytest.raises(ValueError, match=f"d3 does not fit dcn; {fits}"):
        built("dcn")
    with pytest.raises(ValueError, match=f"d3 does not fit dcn; {fits}"):
        check(ModelSettings(architecture="dcn", plugins=("d3",)), LearningSettings(), False)
    with pytest.raises(ValueError, match="star takes the fusion: fusion must be true"):
        built("star", fusion=False)
    with pytest.raises(ValueError, match="width from a hidden layer, of which mmoe has none"):
        built("mmoe", settings={"tower_units": ()})
