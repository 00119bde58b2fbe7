"""Training: stops early, keeps the best weights, and a killed training ends like one that was not."""

import keras
import numpy as np
import pytest
from conftest_models import SPEC, make_columns, small_classifier
from conftest_training import LEARNING, SMALL, TRAIN, VALIDATION, fresh_model, killed_after, script

from models import checkpoint, domain_classifier, trainer
from models.architectures.base import create_model
from models.columns import Columns
from models.learning.base import LearningMethod
from models.pseudo import CONFIDENCE, PROBABILITIES
from models.settings import ModelSettings
from models.validation import Validation
from pipeline.history import exported_epoch


def pseudo_rows(rows=60):
    """Rows with a pseudo-domain, none of the dominant one, as `load_pseudo` gives them."""
    columns = make_columns(rows, seed=2)
    kept = np.arange(columns.offsets[1], columns.offsets[3])
    arrays = {name: array[kept] for name, array in columns.arrays.items()}
    confidence = np.random.default_rng(0).uniform(0.5, 1, len(kept)).astype("float32")
    arrays |= {CONFIDENCE: confidence, PROBABILITIES: np.stack([confidence, 1 - confidence], axis=1)}
    return Columns(arrays, np.maximum(columns.offsets - columns.offsets[1], 0).clip(max=len(kept)))


def without_time(history):
    return [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_s")} for row in history]


def test_training_learns_logs_and_counts(place):
    model = fresh_model()
    history = trainer.train(model, TRAIN, VALIDATION, LEARNING, *place)
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["auc"] > 0.6
    assert set(history[0]["domains"]) == {"news", "sport", "music"}
    assert list(place[1].glob("events.out.tfevents*"))


@pytest.mark.parametrize(
    "model",
    [
        ("shared_bottom",),
        *(
            pytest.param(m, marks=pytest.mark.exhaustive)
            for m in (("dfei",), ("ssctl",), ("shared_bottom", "d3"))
        ),
    ],
    ids="+".join,
)
def test_a_killed_training_goes_on_and_ends_the_same(place, tmp_path, model):
    rows, made = (TRAIN, VALIDATION, LEARNING), {"pseudo": pseudo_rows()}
    whole_model = fresh_model(*model)
    whole = trainer.train(whole_model, *rows, tmp_path / "other", tmp_path / "logs2", **made)
    with killed_after(1):
        trainer.train(fresh_model(*model), *rows, *place, **made)
    keras.utils.set_random_seed(99)  # nothing may hang on the new process's own randomness
    again = fresh_model(*model)
    resumed = trainer.train(again, *rows, *place, **made)
    assert without_time(resumed) == without_time(whole)
    for a, b in zip(again.weights, whole_model.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_it_stops_when_nothing_gets_better_and_keeps_the_best_weights(place, monkeypatch):
    kept = script(monkeypatch, [0.6, 0.7, 0.65, 0.64, 0.9])
    model = fresh_model()
    learning = LEARNING.model_copy(update={"epochs": 5, "patience": 2})
    history = trainer.train(model, TRAIN, VALIDATION, learning, *place)
    assert len(history) == 4
    assert exported_epoch(history) == 2  # what the report takes for the best one
    for variable, best in zip(model.trainable_variables, kept[1], strict=True):
        np.testing.assert_array_equal(variable.numpy(), best)


def test_the_method_hears_of_the_end_once_the_best_weights_are_back(place, monkeypatch):
    kept, heard = script(monkeypatch, [0.7, 0.6, 0.6]), []
    monkeypatch.setattr(
        LearningMethod,
        "ended",
        lambda self: heard.append([v.numpy() for v in self.steps.trainable]),
        raising=False,
    )
    trainer.train(fresh_model(), TRAIN, VALIDATION, LEARNING, *place)
    [heard] = heard
    for weights, best in zip(heard, kept[0], strict=True):
        np.testing.assert_array_equal(weights, best)


def test_rows_with_a_pseudo_domain_join_for_a_model_that_wants_them(place):
    pseudo = pseudo_rows(600)
    assert trainer.create_method(fresh_model(), TRAIN, LEARNING, pseudo=pseudo).columns is TRAIN
    model = fresh_model("ssctl")
    method = trainer.create_method(model, TRAIN, LEARNING, pseudo=pseudo)
    assert method.columns.rows == TRAIN.rows + pseudo.rows and method.original is TRAIN
    for domain in range(4):
        confidence = method.columns.of_domain(domain)[CONFIDENCE]
        own = np.diff(TRAIN.offsets)[domain]
        assert not confidence[:own].any()
        np.testing.assert_array_equal(confidence[own:], pseudo.of_domain(domain)[CONFIDENCE])
    history = trainer.train(model, TRAIN, VALIDATION, LEARNING, *place, pseudo=pseudo)
    steps = exported_epoch(history) * method.steps_per_epoch()
    drift = 1 - 0.999**steps  # of mu from 1/2 to the confidences' mean
    expected = 0.5 + drift * (pseudo.arrays[CONFIDENCE].mean() - 0.5)
    assert model.confidence_weights.mu.numpy() == pytest.approx(expected, abs=0.1 * drift)
    assert model.confidence_weights.variance.numpy() == pytest.approx(1 - drift, abs=0.1 * drift)


@pytest.mark.parametrize(("architecture", "reads"), [("ssctl", True), ("shared_bottom", False)])
def test_a_model_that_does_not_read_the_classifier_is_said_not_to(place, monkeypatch, architecture, reads):
    said, pseudo = [], pseudo_rows()
    monkeypatch.setattr(trainer.progress, "report", lambda *_, **figures: said.append(figures))
    learning = LEARNING.model_copy(update={"epochs": 1})
    model = fresh_model(architecture)
    [measured] = trainer.train(model, TRAIN, VALIDATION, learning, *place, pseudo=pseudo)
    assert measured["pseudo_rows"] == (pseudo.rows if reads else 0)
    assert any("this model reads neither" in one.get("warning", "") for one in said) is not reads


def test_a_saved_classifier_is_frozen_in_the_model_and_counts_only_where_it_is_needed(place):
    keras.utils.set_random_seed(3)
    saved = small_classifier()
    domain_classifier.save(saved, place[0], {}, SPEC.fingerprint)
    settings = ModelSettings(architecture="ssctl", settings=SMALL["ssctl"])
    model = trainer.new_model(SPEC, settings, LEARNING, TRAIN, VALIDATION, place[0])
    for weight, own in zip(saved.weights, model.classifier.weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), own.numpy())
        assert all(own is not variable for variable in model.trainable_variables)
    plain = settings.model_copy(update={"architecture": "shared_bottom", "settings": {}})
    without = create_model(SPEC, plain)
    assert len(trainer.new_model(SPEC, plain, LEARNING, TRAIN, VALIDATION, place[0]).weights) == len(
        without.weights
    )
    with pytest.raises(ValueError, match=r"(isct|sddn) needs the domain classifier"):
        trainer.new_model(SPEC, settings, LEARNING, TRAIN, VALIDATION)


def test_augmented_rows_reach_the_method_and_join_the_training_rows_only_when_asked(place):
    augmented = make_columns(60, seed=2)
    apart = trainer.create_method(fresh_model(), TRAIN, LEARNING, augmented)
    assert apart.augmented is augmented and apart.columns is TRAIN
    assert trainer.create_method(fresh_model(), TRAIN, LEARNING).augmented is None
    joining = LEARNING.model_copy(update={"train_on_augmented": True})
    joined = trainer.create_method(fresh_model(), TRAIN, joining, augmented)
    assert joined.columns.rows == 660 and joined.augmented is augmented
    assert trainer.create_method(fresh_model(), TRAIN, joining, None).columns is TRAIN
    history = trainer.train(fresh_model(), TRAIN, VALIDATION, joining, *place, augmented=augmented)
    without = trainer.train(fresh_model(), TRAIN, VALIDATION, LEARNING, place[0] / "2", place[1])
    assert history[0]["loss"] != without[0]["loss"]
    assert history[0]["steps"] == -(-660 // 64)


def relabelled(columns: Columns, label) -> Columns:
    return Columns({**columns.arrays, "label": label.astype("float32")}, columns.offsets)


def test_one_class_and_tiny_domains_are_left_out_of_the_mean(place):
    label = VALIDATION.arrays["label"].copy()
    label[: VALIDATION.offsets[1]] = 1
    history = trainer.train(fresh_model(), TRAIN, relabelled(VALIDATION, label), LEARNING, *place)
    assert history[0]["domains_left_out"] == ["news"]
    assert set(history[0]["domains"]) == {"sport", "music"}
    mean = np.mean(list(history[0]["domains"].values()))
    assert history[0]["mean_domain_auc"] == pytest.approx(mean)


def test_a_validation_split_of_one_class_does_not_stop_the_training(place):
    ones = relabelled(VALIDATION, np.ones(VALIDATION.rows))
    history = trainer.train(fresh_model(), TRAIN, ones, LEARNING, *place)
    assert history[-1]["mean_domain_auc"] is None
    assert len(history) == LEARNING.epochs


def test_minor_domains_are_averaged_apart(place):
    columns = make_columns(600)
    columns.arrays["channel"][:] = np.sort(np.where(np.arange(600) < 5, 2, np.arange(600) % 2))
    offsets = np.searchsorted(columns.arrays["channel"], np.arange(5))
    validation = Validation(VALIDATION, SPEC, 20, offsets)
    assert validation._minor == {"news": False, "sport": False, "music": True}


def test_a_checkpoint_reads_back_as_it_was_and_is_never_half_written(tmp_path):
    assert checkpoint.load(tmp_path) is None
    state = checkpoint.TrainingState(
        [np.arange(3.0), np.array(7)],
        [],
        [np.ones((2, 2), "float32")],
        stale=1,
        epoch=2,
        partial=(30, 1.5, 0.25),
        history=[{"epoch": 1}],
    )
    checkpoint.save(state, tmp_path)
    again = checkpoint.load(tmp_path)
    assert (again.epoch, again.best_score, again.stale, again.history) == (2, -np.inf, 1, [{"epoch": 1}])
    assert tuple(again.partial) == (30, 1.5, 0.25)
    for name in ("state", "best"):
        for a, b in zip(getattr(state, name), getattr(again, name), strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
    assert [file.name for file in tmp_path.iterdir()] == [checkpoint.FILE]
