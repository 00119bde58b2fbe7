"""DomainClassifier learns which of the smaller domains a row looks like, from what it may read alone."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from domain_rows import DOMAINS, LOG, SPLITS, make_rows, transformed
from example_artifacts import artifact
from tensorflow_transform import TFTransformOutput
from tfx.types import standard_artifacts

from components.domain_classifier.component import DomainClassifier
from components.domain_classifier.quality import measure
from components.domain_classifier.settings import ClassifierSettings
from components.domain_classifier.train import FocalClassifier, choose_dominant, train_classifier
from models.architectures.base import create_model, example_inputs
from models.columns import Columns
from models.domain_classifier import load, read_description
from models.features import FeatureSpec
from models.layers.domain_classifier import DomainClassifier as Layer
from models.settings import ModelSettings

SETTINGS = ClassifierSettings(units=(16,), embedding_dim=4, batch_size=64, learning_rate=0.02, epochs=5)


def run(folder: Path, chosen=SETTINGS, **given):
    """Run the component; return its artifact and the folder of the classifier."""
    model = artifact(standard_artifacts.Model, folder / "model")
    DomainClassifier.test_call(
        **transformed(folder, **given),
        model=model,
        log=LOG.model_dump_json(),
        settings=chosen.model_dump_json(),
    )
    return model, folder / "model" / "Format-Serving"  # where TFX's Trainer looks for its base model


def read_json(file: Path) -> dict:
    return json.loads(file.read_text())


def training(rows: list[dict]) -> dict[str, list[dict]]:
    return dict.fromkeys(SPLITS, rows)


def test_the_classifier_is_trained_measured_and_can_be_loaded(tmp_path):
    model, folder = run(tmp_path)
    quality = read_json(folder / "quality.json")
    assert quality["dominant"] == ["home"] and quality["classes"] == ["search", "mail", "shop"]
    confusion = np.array(quality["confusion"])
    assert confusion.sum(axis=1).tolist() == quality["held_out_rows"]
    train = make_rows(600)
    counts = np.bincount([row["channel"] for row in train])[1:]
    held_out = np.round(0.1 * counts).astype(int)
    assert quality["held_out_rows"] == held_out.tolist()
    assert quality["train_rows"] == (counts - held_out).tolist()
    assert quality["accuracy"] > quality["majority_rate"] and quality["better_than_chance"] is True
    assert model.get_float_custom_property("accuracy") == pytest.approx(quality["accuracy"])
    assert model.get_string_custom_property("warning") == ""
    assert 1 <= len(quality["history"]) <= SETTINGS.epochs
    spec = FeatureSpec.from_transform(LOG, TFTransformOutput(str(tmp_path / "graph")))
    assert load(folder, spec).classes == (1, 2, 3)
    assert read_description(folder)["fingerprint"] == spec.fingerprint


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_focal_loss_by_hand(gamma):
    model = FocalClassifier(Layer(example_spec(), (0,), (4,), 2), gamma)
    logits = np.random.default_rng(0).normal(0, 2, (20, 3)).astype("float32")
    logits[0] = [0, 100, 0]  # certain: neither loss nor gradient may be NaN
    labels = np.arange(20) % 3
    labels[0] = 1
    p = np.exp(logits.astype("float64"))
    p = (p / p.sum(axis=1, keepdims=True))[np.arange(20), labels]
    losses = keras.ops.convert_to_numpy(model.row_losses(labels, logits))
    np.testing.assert_allclose(losses, -((1 - p) ** gamma) * np.log(p), rtol=1e-4, atol=1e-6)


def example_spec(domains=DOMAINS) -> FeatureSpec:
    fields = [
        {"name": "user", "kind": "categorical", "size": 31},
        {"name": "tags", "kind": "sequence", "size": 6, "length": 3},
        {"name": "hour", "kind": "categorical", "size": 13, "group": "context"},
        {"name": "price", "kind": "numeric"},
        {"name": "owner", "kind": "categorical", "size": 5, "group": "domain"},
    ]
    return FeatureSpec(fields=fields, domain="channel", domains=domains)


def columns_of(rows: list[dict]) -> Columns:
    rows = sorted(rows, key=lambda row: row["channel"])
    arrays = {
        name: np.array([row[name] for row in rows], "float32" if name in ("price", "label") else "int32")
        for name in rows[0]
    }
    return Columns(arrays, np.searchsorted(arrays["channel"], np.arange(len(DOMAINS) + 2)))


def test_the_classifier_sees_neither_label_nor_domain_id():
    rows, spec = make_rows(400), example_spec()
    reference, quality = train_classifier(columns_of(rows), spec, [0], SETTINGS)
    labels = np.random.default_rng(1).permutation([row["label"] for row in rows])
    other_labels = [{**row, "label": int(label)} for row, label in zip(rows, labels, strict=True)]
    # The dominant domain gets the last index, the others move up: their ids change, their order does not.
    other_ids = [{**row, "channel": (row["channel"] - 1) % 4, "owner": 3 - row["owner"]} for row in rows]
    moved = example_spec((*DOMAINS[1:], DOMAINS[0]))
    for changed, inputs, dominant in ((other_labels, spec, [0]), (other_ids, moved, [3])):
        again, other = train_classifier(columns_of(changed), inputs, dominant, SETTINGS)
        assert {**other, "history": 0} == {**quality, "history": 0} and other["history"] == quality["history"]
        for a, b in zip(again.get_weights(), reference.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    third, _ = train_classifier(columns_of(make_rows(400, seed=5)), spec, [0], SETTINGS)
    assert not np.array_equal(third.get_weights()[-1], reference.get_weights()[-1])


def test_a_balance_of_one_finds_more_of_the_small_domains():
    columns = columns_of(make_rows(800, shares=(0.5, 0.4, 0.07, 0.03), signal=0.5))
    recall, better = {}, {}
    for balance in (0, 1):
        chosen = SETTINGS.model_copy(update={"balance": balance, "held_out": 0.3})
        quality = train_classifier(columns, example_spec(), [0], chosen)[1]
        recall[balance], better[balance] = quality["recall"], quality["better_than_chance"]
    assert sum(recall[1][1:]) > sum(recall[0][1:])
    assert better[1] is True  # though it is right less often than the largest domain alone would be
    assert quality["accuracy"] < quality["majority_rate"]


def test_it_stops_early_and_keeps_the_best_epoch():
    columns = columns_of(make_rows(300, signal=0.3))
    chosen = SETTINGS.model_copy(update={"epochs": 40, "learning_rate": 0.05})
    classifier, quality = train_classifier(columns, example_spec(), [0], chosen)
    losses = [epoch["held_out_loss"] for epoch in quality["history"]]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + chosen.patience < 40
    fewer = chosen.model_copy(update={"epochs": best + 1})
    for a, b in zip(
        classifier.get_weights(),
        train_classifier(columns, example_spec(), [0], fewer)[0].get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("rows", "chosen", "expected"),
    [
        ([60, 30, 10], {}, [0]),
        ([40, 35, 25], {}, [0]),  # none reaches the share: the largest
        ([40, 35, 25], {"dominant_share": 0.3}, [0, 1]),
        ([60, 30, 10], {"dominant": ("mail", "search")}, [1, 2]),
    ],
)
def test_dominant_is_who_is_named_or_has_the_share(rows, chosen, expected):
    settings = ClassifierSettings(**chosen)
    assert choose_dominant(DOMAINS[:3], np.array(rows), settings) == expected


def test_a_dominant_domain_that_is_not_there_is_named_with_those_that_are(tmp_path):
    chosen = SETTINGS.model_copy(update={"dominant": ("home", "serch")})
    with pytest.raises(ValueError, match=r"'serch', .* home, search, mail, shop\..*'search'"):
        run(tmp_path, chosen)
    assert not list((tmp_path / "model").iterdir())


@pytest.mark.parametrize("chosen", [{"dominant": DOMAINS}, {"dominant_share": 0.01}])
def test_all_domains_dominant_is_an_error_before_training(tmp_path, chosen):
    with pytest.raises(ValueError, match="every domain of the training rows is dominant"):
        run(tmp_path, SETTINGS.model_copy(update=chosen))


def test_of_two_domains_the_other_is_certain_and_nothing_is_learnt(tmp_path):
    rows = training(make_rows(100, shares=(0.7, 0.3)))
    model, folder = run(tmp_path, rows=rows, domains=DOMAINS[:2])
    quality = read_json(folder / "quality.json")
    assert quality["classes"] == ["search"] and quality["history"] == []
    assert quality["accuracy"] == 1 and quality["better_than_chance"] is None
    warning = model.get_string_custom_property("warning")
    assert "search is the only one to tell" in warning and "rows of home count as rows of others" in warning
    spec = FeatureSpec.from_transform(LOG, TFTransformOutput(str(tmp_path / "graph")))
    np.testing.assert_array_equal(load(folder, spec).probabilities(example_inputs(spec, 3)), np.ones((3, 1)))


@pytest.mark.parametrize("few", [1, 2, 5])
def test_a_domain_with_a_handful_of_rows_is_trained_on_and_measured_where_it_can_be(few):
    rows = [row for row in make_rows(300) if row["channel"] != 3]
    rows += [{**rows[0], "channel": 3}] * few
    _, quality = train_classifier(columns_of(rows), example_spec(), [0], SETTINGS)
    assert quality["train_rows"][2] == max(few - 1, 1) and quality["held_out_rows"][2] == min(few - 1, 1)
    assert (quality["recall"][2] is None) == (few == 1)


def test_a_classifier_no_better_than_chance_says_so_and_goes_on(tmp_path):
    random = np.random.default_rng(0)
    noise = [{**row, "hour": int(random.integers(12))} for row in make_rows(600, shares=(0.4, 0.2, 0.2, 0.2))]
    model, folder = run(tmp_path, SETTINGS.model_copy(update={"dominant": ("home",)}), rows=training(noise))
    quality = read_json(folder / "quality.json")
    assert quality["better_than_chance"] is False
    warning = model.get_string_custom_property("warning")
    assert "no better than chance" in warning and f"{quality['accuracy']:.1%}" in warning
    spec = FeatureSpec.from_transform(LOG, TFTransformOutput(str(tmp_path / "graph")))
    classifier = load(folder, spec)
    for believed in (False, True):  # what is no better than chance gives no row a second domain
        assert classifier.better_than_chance is believed
        model = create_model(spec, ModelSettings(plugins=("isct",)), classifier=classifier)
        assert model.wants_pseudo is believed
        classifier.better_than_chance = True


def test_the_quality_is_that_of_the_definitions():
    random = np.random.default_rng(0)
    p, labels = random.dirichlet([1, 1, 1], 200), random.integers(0, 3, 200)
    labels[:120] = p[:120].argmax(axis=1)
    quality = measure(p, labels, np.array([50, 60, 40]), np.ones(3))
    said, sure = p.argmax(axis=1), p.max(axis=1)
    for k in range(3):
        assert quality["recall"][k] == pytest.approx(np.mean(said[labels == k] == k))
        assert quality["confusion"][k] == [int(np.sum((labels == k) & (said == j))) for j in range(3)]
    assert quality["accuracy"] == pytest.approx(np.mean(said == labels))
    assert quality["majority_rate"] == pytest.approx(np.mean(labels == 1))
    bins = [(sure > a / 10) & (sure <= (a + 1) / 10) for a in range(10)]
    gaps = [b.sum() * abs(sure[b].mean() - np.mean(said[b] == labels[b])) for b in bins if b.any()]
    assert quality["calibration"]["ece"] == pytest.approx(sum(gaps) / 200)
    assert sum(b["rows"] for b in quality["calibration"]["bins"]) == 200


def test_luck_is_better_than_chance_as_often_as_the_test_allows():
    """Answers that know nothing of two equally large classes: one in twenty is said to be better."""
    random = np.random.default_rng(0)
    lucky = 0
    for _ in range(1000):
        labels, said = random.integers(0, 2, (2, 300))
        lucky += measure(np.eye(2)[said], labels, np.array([2, 1]), np.ones(2))["better_than_chance"]
    assert 30 < lucky < 75
