"""AREAD: Eq. 3-4 and 6-9 against NumPy, and how masks begin and are pruned (Algorithm 1)."""

import itertools

import keras
import numpy as np
import pytest
from conftest_papers import ROWS, SPEC, build, make_inputs, relu
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures.base import create_model
from models.mask_search import write_masks
from models.masks import MaskSpace
from models.registry import check
from models.settings import LearningSettings, ModelSettings

LEVELS = (2, 3, 4)
SPACE = MaskSpace(LEVELS)
MASKS = [  # of three domains, the unknown one last, levels 2 and 3; connected
    (np.array([[1, 0, 1], [1, 0, 1]]), np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]])),
    (np.array([[0, 1, 0], [0, 0, 0]]), np.array([[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]])),
    (np.ones((2, 3), int), np.ones((3, 4), int)),
]
WEAR = SPACE.flat([np.stack(level).astype(bool) for level in zip(*MASKS, strict=True)])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def log_loss(p, y):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@pytest.fixture
def model():
    model = build(
        "aread",
        base="mlp",
        base_settings={"units": (5,)},
        n_experts=LEVELS,
        expert_units=((4, 3), (3, 2), (2, 2)),
    )
    for weight in model.experts.trainable_variables:  # so that no output is saturated
        weight.assign(weight * 0.5)
    write_masks(model.experts, SPACE, np.arange(3), WEAR)
    return model


def expert(layers, n, x, last):
    """MLP_{l,n}: ReLU after each layer, but for the unit that an output of the last level ends in."""
    for i, (kernel, bias) in enumerate(layers):
        x = x @ kernel.numpy()[n] + bias.numpy()[n]
        if not (last and i == len(layers) - 1):
            x = relu(x)
    return x


def hierarchy(layer, x, domain):
    """Eq. 4 of one row: {j: e_{L,j}} of the outputs in use (Eq. 7), and the gates."""
    masks = MASKS[domain]
    used = masks[0].any(axis=1)
    group = layer.expert_vectors.numpy()[used].mean(axis=0)
    state = np.concatenate([layer.domain_vectors.numpy()[domain], group])
    e = {n: expert(layer.experts[0], n, x, last=False) for n in range(LEVELS[0])}
    gates = []
    for level, (kernel, bias) in enumerate(layer.gate_layers, start=1):
        mask = masks[level - 1]
        g = softmax((state @ kernel.numpy() + bias.numpy()).reshape(mask.shape), axis=0)
        gates.append(g)
        new = {}
        for n in range(LEVELS[level]):
            total = (mask[:, n] * g[:, n]).sum()
            if total > 0:  # an expert whose column is empty outputs nothing
                mixture = sum(mask[i, n] * g[i, n] * e[i] for i in e if mask[i, n]) / total
                new[n] = expert(layer.experts[level], n, mixture, last=level == len(LEVELS) - 1)
        e = new
    return {n: float(value[0]) for n, value in e.items()}, gates


def test_each_row_goes_through_the_experts_of_its_domain(model):
    inputs = make_inputs()
    x = model.represent(*model.embed(inputs), training=False).numpy()
    logits, in_use = (np.array(out) for out in model(inputs))
    y = np.arange(ROWS) % 2
    p, bagged = np.empty(ROWS), np.empty(ROWS)
    for row, domain in enumerate(inputs["channel"]):
        outputs, _ = hierarchy(model.experts, x[row], domain)
        assert sorted(outputs) == np.flatnonzero(in_use[row]).tolist()  # K(M_d)
        np.testing.assert_allclose([logits[row, j] for j in outputs], list(outputs.values()), rtol=1e-4)
        chances = sigmoid(np.array(list(outputs.values())))
        p[row] = chances.mean()  # Eq. 9
        bagged[row] = log_loss(chances, y[row]).sum()  # Eq. 8
    outputs = model(inputs)
    np.testing.assert_allclose(model.probabilities(outputs), p, rtol=1e-4)
    np.testing.assert_allclose(model.row_losses(y, outputs), log_loss(p, y), rtol=1e-4)  # Eq. 6
    model.masks_in_use.assign(True)
    np.testing.assert_allclose(model.row_losses(y, outputs), bagged, rtol=1e-4)


def test_a_mask_of_ones_gives_equation_3(model):
    inputs = make_inputs() | {"channel": np.full(ROWS, 2, "int32")}
    x = model.represent(*model.embed(inputs), training=False).numpy()
    layer = model.experts
    _, gates = hierarchy(layer, x[0], 2)
    e = np.stack([expert(layer.experts[0], n, x, last=False) for n in range(LEVELS[0])])
    for level, g in enumerate(gates, start=1):  # Eq. 3: no division by the sum of the gates
        mixtures = np.einsum("in,ibw->nbw", g, e)
        e = np.stack([expert(layer.experts[level], n, m, level == 2) for n, m in enumerate(mixtures)])
    np.testing.assert_allclose(model(inputs)[0], e[:, :, 0].T, rtol=1e-4, atol=1e-5)


def test_what_a_mask_cuts_moves_nothing(model):
    inputs = make_inputs() | {"channel": np.full(ROWS, 1, "int32")}
    before = model.probabilities(model(inputs)).numpy()
    for kernel, _ in model.experts.experts[1]:
        values = kernel.numpy()
        values[[0, 2]] = 1e6  # domain 1 uses the second expert of this level only
        kernel.assign(values)
    np.testing.assert_array_equal(model.probabilities(model(inputs)), before)


def any_mask(space, data):
    bits = data.draw(st.lists(st.booleans(), min_size=space.edges, max_size=space.edges))
    return np.array([bits])


@given(st.data())
def test_no_edge_leaves_an_expert_that_gets_nothing(data):
    space = MaskSpace((2, 3, 3, 2))
    mask = any_mask(space, data)
    kept = space.connected(mask)
    assert (kept <= mask).all()
    np.testing.assert_array_equal(space.connected(kept), kept)
    for below, above in itertools.pairwise(space.levels(kept)):
        assert not above[0][~below[0].any(axis=0)].any()
    # An output is in use exactly if a path leads to it from some expert of the first level.
    reach = np.eye(2, dtype=bool)
    for level in space.levels(mask):
        reach = reach @ level[0]
    np.testing.assert_array_equal(space.levels(kept)[-1][0].any(axis=0), reach.any(axis=0))
    assert space.has_output(mask)[0] == reach.any()


@given(st.data(), st.floats(0.01, 0.99))
def test_pruning_takes_the_smallest_gates_and_leaves_a_path(data, alpha):
    mask = SPACE.connected(any_mask(SPACE, data))
    if not SPACE.has_output(mask)[0]:
        return
    gates = np.random.default_rng(data.draw(st.integers(0, 99))).random((1, SPACE.edges))
    pruned = SPACE.prune(mask, gates, alpha)
    assert SPACE.has_output(pruned)[0] and (pruned <= mask).all()
    count = max(1, round(alpha * mask.sum()))
    smallest = np.argsort(np.where(mask, gates, np.inf)[0])[:count]
    alone = mask.copy()
    alone[0, smallest] = False
    if SPACE.has_output(alone)[0]:
        np.testing.assert_array_equal(pruned, SPACE.connected(alone))
    else:  # every path would be cut: the mask stays
        np.testing.assert_array_equal(pruned, mask)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.05, 1), st.floats(0, 2))
def test_candidates_begin_near_the_largest_gates(seed, s0, flip):
    random = np.random.default_rng(seed)
    gates = random.random((3, SPACE.edges))
    drawn = SPACE.candidates(gates, 5, s0, flip, random)
    assert drawn.shape == (3, 5, SPACE.edges)
    assert SPACE.has_output(drawn.reshape(-1, SPACE.edges)).all()
    exact = SPACE.candidates(gates, 1, s0, 0.0, random)[:, 0]
    for own, mask in zip(gates, exact, strict=True):
        top = np.argsort(-own)[: max(1, round(s0 * SPACE.edges))]
        expected = SPACE.connected(np.isin(np.arange(SPACE.edges), top)[None])[0]
        np.testing.assert_array_equal(mask, expected if SPACE.has_output(expected[None])[0] else True)


BASES = ["cgc", "dcn", "dcnv2", "epnet", "mlp", "mmoe", "pepnet", "ple", "shared_bottom"]


@pytest.mark.parametrize("base", BASES)
def test_any_architecture_with_a_representation_can_be_the_base(base):
    keras.utils.set_random_seed(0)
    settings = {"base": base, "n_experts": (2, 3), "expert_units": ((3,), (2,))}
    model = create_model(SPEC, ModelSettings(architecture="aread", settings=settings, embedding_dim=3))
    assert 0 < float(model.probabilities(model(make_inputs()))[0]) < 1
    assert not [v.path for v in model.variables if "tower" in v.path]  # nothing of the base stays unused


def test_there_may_be_more_groups_than_domains():
    own = {"base": "mmoe", "n_experts": (2, 3), "expert_units": ((3,), (2,))}
    settings = ModelSettings(architecture="aread", settings=own, embedding_dim=3, domain_groups=3)
    model = create_model(SPEC, settings)
    model.domain_group.assign([1, 0, 3])  # of two domains and the unknown one
    assert model.base.n_domains == model.n_domains == 4
    assert np.isfinite(model.probabilities(model(make_inputs()))).all()


@pytest.mark.parametrize("base", ["star", "wide_deep", "deepfm", "ssctl", "aread"])
def test_a_base_of_which_parts_would_be_lost_is_refused_and_those_that_fit_are_named(base):
    model = ModelSettings(architecture="aread", settings={"base": base})
    said = rf"{base} cannot be the base of aread; these can: {', '.join(BASES)}\."
    with pytest.raises(ValueError, match=said):
        check(model, LearningSettings(), has_classifier=False)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"base": "mmo"}, "'mmo' is no architecture"),
        ({"n_experts": (3, 6)}, "n_experts has 2 levels, expert_units 3"),
        ({"n_experts": (3,), "expert_units": ((4,),)}, "n_experts"),
        ({"base_settings": {"experts": 3}}, "settings of mmoe: experts"),
    ],
)
def test_wrong_settings_are_named(own, message):
    with pytest.raises(ValueError, match=message):
        check(ModelSettings(architecture="aread", settings=own), LearningSettings(), has_classifier=False)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"architecture": "mmoe"}, "hemp looks for the masks of aread; mmoe has none"),
        ({"architecture": "aread", "domain_groups": 2}, "set model.domain_groups to 0"),
    ],
)
def test_a_model_without_masks_is_refused_before_any_work(model, message):
    with pytest.raises(ValueError, match=message):
        check(ModelSettings(**model), LearningSettings(method="hemp"), has_classifier=False)
