"""The plug-in `d3` in the architectures of the paper: what it replaces, weighs and remembers."""

import numpy as np
import pytest
import tensorflow as tf
from conftest_papers import GROUPED_SPEC, random_weights
from keras import ops

from models.architectures.base import create_model
from models.features import FeatureSpec
from models.registry import check
from models.settings import LearningSettings, ModelSettings

RNG = np.random.default_rng(0)
WHOLE, PARTIAL = ("shared_bottom", "mmoe", "m2m", "adi"), ("star", "sar_net")


def rows(n=9, seed=1):
    rng = np.random.default_rng(seed)
    return {
        "user": rng.integers(0, 9, n).astype("int32"),
        "x": rng.normal(size=n).astype("float32"),
        "item": rng.integers(0, 7, n).astype("int32"),
        "channel": rng.integers(0, 3, n).astype("int32"),  # the unknown domain, 2, among them
    }


def built(architecture, spec=GROUPED_SPEC, plugins=("d3",), settings=None, **own):
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


def test_star_and_sar_net_fuse_their_own_parts():  # how: test_star_sarnet_m2m_adi.py, test_d3.py
    inputs = rows()
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
        for spec, batches in (
            (one, [{"channel": np.zeros(3, "int32")}]),
            (GROUPED_SPEC, [constant, single, nobody]),
        ):
            model = random_weights(built(architecture, spec))
            model.reached(1.0)
            for inputs in batches:
                outputs = model(inputs, training=True)
                weighed = model.weigh(np.ones(len(outputs), "float32"), inputs)
                assert np.isfinite(outputs).all() and np.isfinite(weighed).all()
                assert np.isfinite(model.d3_means.means).all()
        unknown = model({**nobody, "channel": np.full(9, 2, "int32")})
        np.testing.assert_array_equal(model(nobody), unknown)


def test_before_the_first_batch_nothing_is_known_of_any_domain():
    said = built("mmoe").figures()["d3"]
    nothing = {"complexity": None, "specificity": None, "attention": None}
    assert said["domains"] == {"news": nothing, "sport": nothing}


def test_a_batch_of_one_domain_is_weighed_by_its_rows():
    model, inputs = random_weights(built("mmoe")), rows() | {"channel": np.full(9, 1, "int32")}
    model(inputs)
    model.reached(0.5)
    weighed = model.weigh(np.ones(9, "float32"), inputs)
    _, attention, gates = conditions(model, inputs)
    balance = model.d3_balance
    np.testing.assert_allclose(weighed, balance.complexity(attention) * balance.specificity(gates), rtol=1e-4)
    assert np.ptp(weighed) > 0.01
    assert 0.9 < np.mean(balance.complexity(attention)) < 1.15  # Eq. 16 is within the batch


def test_of_very_many_domains_the_first_have_figures(monkeypatch):
    monkeypatch.setattr("models.plugins.d3.MOST", 1)
    model, inputs = built("mmoe"), rows()
    model(inputs)
    model.weigh(np.ones(9, "float32"), inputs)
    said = model.figures()["d3"]
    assert (list(said["domains"]), said["n_domains"]) == (["news"], 2)


def test_the_own_part_that_dfei_reads_in_adi_is_the_whole_generated_layer():
    seen = []
    for plugins, width in ((("dfei",), 64), (("d3", "dfei"), 128)):
        model = built("adi", plugins=plugins)
        assert model.scenario.own_units == model.domain_features.v.shape[1] == width
        seen.append(model(rows()).numpy())
    assert np.isfinite(seen).all()


@pytest.mark.parametrize("begin", [1, 1.5, -0.1])
def test_weights_that_never_begin_are_said_otherwise(begin):
    with pytest.raises(ValueError, match="begin"):
        built("mmoe", begin=begin)


def test_weights_of_nothing_are_refused():
    with pytest.raises(ValueError, match="shift and scale are both 0: every row would weigh nothing"):
        built("mmoe", shift=0, scale=0)
    built("mmoe", shift=0, scale=0, balance=False)


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
