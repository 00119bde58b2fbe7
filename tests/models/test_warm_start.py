"""A training that begins with an earlier model's weights: by value and by domain, whatever their index."""

from dataclasses import replace
from itertools import chain
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from conftest_models import SPEC, make_inputs, small_model
from test_domain_parameters import fill, parameters_of

from models.architectures.base import create_model
from models.domain_parameters import DomainParameters, SpecificSettings
from models.registry import names
from models.row_sources import FRESH, Meaning, row_sources
from models.settings import ModelSettings
from models.warm_start import CannotGoOn, begin, go_on, weight_names

USERS = [f"u{i}".encode() for i in range(28)]  # and two OOV buckets
TAGS = [f"t{i}".encode() for i in range(6)]  # and the padding, and one OOV bucket
ITEMS = [f"i{i}".encode() for i in range(19)]  # and one OOV bucket
SCALES = {"price": "z_score"}
BEFORE = Meaning(SPEC, {"user": USERS, "tags": TAGS, "item": ITEMS}, SCALES)
NOW_USERS = [b"new1", *USERS[:2:-1], b"new2", b"new3", b"new4", b"new5"]  # u0 to u2 are gone
NOW_TAGS = [TAGS[3], TAGS[0], TAGS[1]]
READS_ALL_DOMAINS = ("hinet", "hmoe", "dfei")  # so that one that comes or goes moves the others' answers


def meaning_of(*domains: str) -> Meaning:
    sizes = {"user": len(NOW_USERS) + 2, "tags": len(NOW_TAGS) + 2, "item": 20}
    fields = [f.model_copy(update={"size": sizes.get(f.name, 0)}) for f in SPEC.fields]
    spec = SPEC.model_copy(update={"fields": tuple(fields), "domains": domains})
    return Meaning(spec, {"user": NOW_USERS, "tags": NOW_TAGS, "item": ITEMS}, SCALES)


REORDERED = meaning_of("music", "news", "sport")
MOVED = meaning_of("sport", "film", "news", "jazz")  # music is gone


def trained(model):
    """Give every weight and state another value, as a training does."""
    rng = np.random.default_rng(1)
    for v in model.variables:
        if keras.backend.is_float_dtype(v.dtype):
            value = v.numpy() + rng.normal(scale=0.3, size=v.shape)
            v.assign(value if v.trainable else np.abs(value))  # moments and counts are never negative
    for mask in model.experts.masks if model.name == "aread" else ():
        drawn = rng.random(mask.shape) < 0.5
        mask.assign(drawn | np.eye(*mask.shape[1:], dtype=bool))
        model.masks_in_use.assign(True)
    return model


def as_served(model, meaning: Meaning = BEFORE, **changes) -> SimpleNamespace:
    """What `ServedModel` reads of an exported model."""
    values = {n: v.numpy() for n, v in zip(weight_names(model), model.variables, strict=True)}
    settings = model.model_settings.model_copy(update={"unknown_domain_share": 0.01, **changes})
    shapes = {name: value.shape for name, value in values.items()}
    return SimpleNamespace(settings=settings, meaning=meaning, shapes=shapes, value=values.get)


def answers(model, inputs) -> np.ndarray:
    return np.asarray(model.probabilities(model(inputs)))


def rows_of(now: Meaning, domains: list[str]) -> tuple[dict, dict]:
    """Return the same rows, with values and domains that both models know, for the old and the new one."""
    rng, inputs = np.random.default_rng(2), make_inputs(60)
    kept = {"user": USERS[3:], "tags": NOW_TAGS, "item": ITEMS}
    new = dict(inputs)
    for name, values in kept.items():
        drawn = rng.integers(0, len(values), inputs[name].shape)
        shift = int(name == "tags")
        for side, vocabulary in ((inputs, BEFORE.vocabularies), (new, now.vocabularies)):
            index = np.array([vocabulary[name].index(value) for value in values]) + shift
            side[name] = index[drawn].astype("int32")
    inputs["user"][:5], new["user"][:5] = 29, now.spec.fields[0].size - 1  # an OOV bucket
    inputs["tags"][5:9, 1:] = new["tags"][5:9, 1:] = 0  # padding
    drawn = rng.integers(0, len(domains), 60)
    for side, meaning in ((inputs, BEFORE), (new, now)):
        index = [[*meaning.spec.domains, ""].index(name) for name in domains]
        side["channel"] = np.array(index, "int32")[drawn]
    return inputs, new


def check_same_answers(old, new, now: Meaning, *domains: str) -> None:
    before, after = rows_of(now, list(domains))
    expected = answers(old, before)
    assert np.ptp(expected) > 0  # else any model would do
    np.testing.assert_allclose(answers(new, after), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", names("architectures"))
def test_known_values_and_domains_are_answered_as_before(name):
    old, new = trained(small_model(name)), small_model(name, MOVED.spec)
    go_on(new, as_served(old), new.model_settings, MOVED)
    if name in READS_ALL_DOMAINS:
        new = small_model(name, REORDERED.spec)
        go_on(new, as_served(old), new.model_settings, REORDERED)
        check_same_answers(old, new, REORDERED, "news", "sport", "music", "")
        return
    if name == "ssctl":  # whose classifier, with the domains in it, comes from the run itself
        return
    check_same_answers(old, new, MOVED, "news", "sport", "")
    before, after = rows_of(MOVED, [""])
    for domain in (MOVED.spec.domains.index("film"), MOVED.spec.domains.index("jazz")):
        after["channel"][:] = domain  # until it has learned, a new domain is answered as it was yesterday
        np.testing.assert_allclose(answers(new, after), answers(old, before), rtol=1e-5, atol=1e-6)
    assert name != "aread" or new.masks_in_use.numpy()  # the loss goes on as Eq. 8, too


@pytest.mark.parametrize(
    ("architecture", "plugin"), [("star", "d3"), ("mmoe", "d3"), ("cgc", "dfei"), ("adi", "dfei")]
)
def test_plugins_keep_what_they_know_of_each_domain(architecture, plugin):
    old = trained(small_model(architecture, plugins=(plugin,)))
    new = small_model(architecture, REORDERED.spec, plugins=(plugin,))
    go_on(new, as_served(old), new.model_settings, REORDERED)
    check_same_answers(old, new, REORDERED, "news", "sport", "music", "")
    new = small_model(architecture, MOVED.spec, plugins=(plugin,))
    go_on(new, as_served(old), new.model_settings, MOVED)
    if plugin == "d3":  # whose `begin` is a share of this training, and whose figures are of today's rows
        assert old.d3_balance.on.numpy() > 0 and new.d3_balance.on.numpy() == 0
        assert old.d3_means.rows.numpy().any() and not new.d3_means.rows.numpy().any()
        return
    kept = [model.domain_features.v.numpy() for model in (old, new)]
    np.testing.assert_array_equal(kept[1][[0, 2, 4]], kept[0][[1, 0, 3]])  # sport, news, the unknown domain


@pytest.mark.parametrize("rank", [0, 1])
def test_domains_keep_what_a_method_gave_them(rank):
    old = trained(small_model("mlp"))
    parameters_of(old, rank=rank, embeddings="sparse")
    fill(old)
    new = small_model("mlp", MOVED.spec)
    rng, inputs = np.random.default_rng(3), make_inputs(400, MOVED.spec)
    domain = inputs["channel"]
    rows = {d: {name: array[domain == d] for name, array in inputs.items()} for d in range(5)}
    DomainParameters(new, SpecificSettings(rank=rank, embeddings="sparse"), rows.get)
    go_on(new, as_served(old), new.model_settings, MOVED)
    both = (chain.from_iterable(model.domain_parameters.stacks) for model in (old, new))
    for before, after in zip(*both, strict=True):
        np.testing.assert_array_equal(after.numpy()[[0, 2, 4]], before.numpy()[[1, 0, 3]])
        assert not after.numpy()[[1, 3]].any()  # new domains have the shared parameters
    checked = 0
    for pair in rng.permutation(new.embedding.specific.pairs)[:40]:
        d, row = divmod(int(new.embedding.specific.keys.numpy()[pair]), new.embedding.specific.n_rows)
        value = new.embedding.specific.table.numpy()[pair]
        earlier = {0: 1, 2: 0}.get(d)
        user = NOW_USERS[row] if row < len(NOW_USERS) else None
        if earlier is None or user not in USERS:
            continue
        place = np.flatnonzero(
            old.embedding.specific.keys.numpy() == earlier * old.embedding.specific.n_rows + USERS.index(user)
        )
        if len(place):
            np.testing.assert_array_equal(value, old.embedding.specific.table.numpy()[place[0]])
            checked += 1
    assert checked > 3


def test_what_domains_add_stays_with_the_variable_that_it_was_added_to():
    old, new = trained(small_model("mlp")), small_model("mlp")
    parameters_of(old)
    fill(old)
    chosen = old.domain_parameters.of[-1]  # which is the first where the pattern leaves out the others
    named = dict(zip(weight_names(new), new.variables, strict=True))
    same = named[dict(zip(map(id, old.variables), weight_names(old), strict=True))[id(chosen)]]
    parameters_of(new, specific=same.path)
    go_on(new, as_served(old), new.model_settings, BEFORE)
    np.testing.assert_array_equal(
        new.domain_parameters.stacks[0][0].numpy(), old.domain_parameters.stacks[-1][0].numpy()
    )


def test_a_model_of_another_method_goes_on_with_the_shared_weights():
    old, new = trained(small_model("mlp")), small_model("mlp", MOVED.spec)
    parameters_of(old)
    fill(old)
    go_on(new, as_served(old), new.model_settings, MOVED)
    here, there = (
        {n: v.numpy() for n, v in zip(weight_names(m), m.variables, strict=True)} for m in (new, old)
    )
    layers = [name for name in here if "embedding" not in name and "seed" not in name]
    assert layers
    for name in layers:
        np.testing.assert_array_equal(here[name], there[name])


def test_groups_stay_and_a_new_domain_joins_those_that_it_is_alike():
    settings = ModelSettings(architecture="mmoe", embedding_dim=4, domain_groups=2)
    old, new = (create_model(meaning.spec, settings) for meaning in (BEFORE, MOVED))
    trained(old).domain_group.assign([0, 1, 1, 2])  # news alone
    new.domain_group.assign([0, 0, 1, 0, 2])  # sport, film, news, jazz: the clusters of today, numbered anew
    go_on(new, as_served(old), settings, MOVED)
    np.testing.assert_array_equal(new.domain_group.numpy(), [1, 1, 0, 1, 2])
    check_same_answers(old, new, MOVED, "news", "sport", "")


def test_without_hidden_rows_a_new_domain_begins_as_a_fresh_model_has_it():
    old, new = trained(small_model("shared_bottom")), small_model("shared_bottom", MOVED.spec)
    fresh = [v.numpy() for v in new.tower.variables]
    go_on(new, as_served(old, unknown_domain_share=0.0), new.model_settings, MOVED)
    for before, after in zip(fresh, new.tower.variables, strict=True):
        if "seed" not in after.path:
            np.testing.assert_array_equal(after.numpy()[[1, 3]], before[[1, 3]])


def test_rows_go_by_value():
    sources = row_sources(BEFORE, MOVED)
    assert sources.fields["user"][0] == FRESH
    assert [sources.fields["user"][1 + i] for i in range(25)] == list(range(27, 2, -1))
    assert list(sources.fields["user"][-2:]) == [28, 29]  # OOV buckets
    assert list(sources.fields["tags"]) == [0, 4, 1, 2, 7]  # the padding first
    assert list(sources.domains) == [1, FRESH, 0, FRESH, 3]
    figures = sources.figures()
    assert (figures["domains_new"], figures["domains_gone"]) == (["film", "jazz"], ["music"])
    assert figures["values"]["user"] == {"kept": 25, "new": 5, "gone": 3}


def test_other_oov_buckets_begin_anew_and_quantiles_keep_their_place():
    field = SPEC.fields[0]
    more = SPEC.model_copy(update={"fields": (field.model_copy(update={"size": 31}), *SPEC.fields[1:])})
    sources = row_sources(BEFORE, replace(BEFORE, spec=more))
    assert list(sources.fields["user"][-4:]) == [27, FRESH, FRESH, FRESH]
    words = {name: BEFORE.vocabularies[name] for name in ("tags", "item")}
    meaning = Meaning(SPEC, words, {"user": "buckets", **SCALES})
    halves = SPEC.model_copy(update={"fields": (field.model_copy(update={"size": 59}), *SPEC.fields[1:])})
    same, finer = (row_sources(meaning, replace(meaning, spec=spec)) for spec in (SPEC, halves))
    np.testing.assert_array_equal(same.fields["user"], np.arange(30))
    assert list(finer.fields["user"]) == [*np.repeat(np.arange(29), 2), 29]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "star"}, "its model.architecture is 'mmoe', this run's 'star'"),
        ({"plugins": ("d3",)}, r"its model.plugins is \(\), this run's \('d3',\)"),
        ({"embedding_dim": 8}, "its model.embedding_dim is 4, this run's 8"),
        ({"settings": {"n_experts": 3}}, r"its mmoe/experts/kernel_0 is \(8, 20, 128\), this run's \(3, 20"),
    ],
)
def test_another_model_is_named_and_the_new_one_stays_as_it_is(changes, said):
    settings = ModelSettings(architecture="mmoe", embedding_dim=4)
    old = create_model(SPEC, settings)
    settings = settings.model_copy(update=changes)
    new = create_model(SPEC, settings)
    weights = new.get_weights()
    with pytest.raises(CannotGoOn, match=said):
        go_on(new, as_served(old), settings, BEFORE)
    for before, after in zip(weights, new.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_other_features_are_named():
    old, turned = small_model("mlp"), SPEC.model_copy(update={"fields": SPEC.fields[::-1]})
    with pytest.raises(CannotGoOn, match=r"its features are user \(categorical, general\).*this run's item"):
        go_on(small_model("mlp", turned), as_served(old), old.model_settings, replace(BEFORE, spec=turned))


@pytest.mark.parametrize(
    ("scales", "said"),
    [
        (
            {"price": "none"},
            r"price \(numeric z_score, general\).*this run's.*price \(numeric none, general\)",
        ),
        (
            {"user": "buckets", **SCALES},
            r"user \(categorical, .*this run's user \(numeric buckets, general\)",
        ),
    ],
)
def test_another_kind_or_scale_of_a_feature_is_named(scales, said):
    words = {name: values for name, values in BEFORE.vocabularies.items() if name not in scales}
    model = small_model("mlp")
    with pytest.raises(CannotGoOn, match=said):
        go_on(model, as_served(model), model.model_settings, Meaning(SPEC, words, scales))


def test_what_cannot_be_read_is_a_cold_start_that_says_why(tmp_path):
    model = small_model("mlp")
    (tmp_path / "assets.extra").mkdir()
    for content, said in (
        (None, "mdr.json"),
        ("{", "line 1 column 2"),
        ('{"log": {}}', "an mdr that did not note the names of its weights"),
    ):
        if content:
            (tmp_path / "assets.extra" / "mdr.json").write_text(content)
        served = {"folder": str(tmp_path), "version": 3, "why_not": ""}
        told = begin(model, served, model.model_settings, BEFORE)
        assert not told["warm"]
        assert told["words"].startswith("cold start: version 3 cannot be read: ")
        assert said in told["words"]
