"""Training: stops early, keeps the best weights, and a killed training ends like one that was not."""

from contextlib import contextmanager

import keras
import numpy as np
import pytest
from conftest_models import SPEC, make_columns, small_classifier

from models import checkpoint, domain_classifier, trainer
from models.architectures import base
from models.architectures.base import create_model
from models.columns import Columns
from models.plugins.base import Plugin
from models.pseudo import CONFIDENCE, PROBABILITIES
from models.registry import Entry
from models.settings import LearningSettings, ModelSettings
from models.validation import Validation
from pipeline.history import exported_epoch

LEARNING = LearningSettings(batch_size=64, epochs=3, patience=3, learning_rate=0.01)


SMALL = {
    "shared_bottom": {"bottom_units": (8,), "tower_units": (4,)},
    "dfei": {"units": (8, 4), "head_units": (4,)},
    "ssctl": {"n_experts": 2, "expert_units": (8,), "gate_units": (4,), "tower_units": (4,)},
}


def fresh_model(architecture="shared_bottom", *plugins):
    keras.utils.set_random_seed(0)
    settings = ModelSettings(architecture=architecture, settings=SMALL[architecture], plugins=plugins)
    return create_model(SPEC, settings, classifier=small_classifier() if architecture == "ssctl" else None)


def pseudo_rows(rows=60):
    """Rows with a pseudo-domain, none of the dominant one, as `load_pseudo` gives them."""
    columns = make_columns(rows, seed=2)
    kept = np.arange(columns.offsets[1], columns.offsets[3])
    arrays = {name: array[kept] for name, array in columns.arrays.items()}
    confidence = np.random.default_rng(0).uniform(0.5, 1, len(kept)).astype("float32")
    arrays |= {CONFIDENCE: confidence, PROBABILITIES: np.stack([confidence, 1 - confidence], axis=1)}
    return Columns(arrays, np.maximum(columns.offsets - columns.offsets[1], 0).clip(max=len(kept)))


@pytest.fixture
def place(tmp_path):
    return tmp_path / "work", tmp_path / "logs"


TRAIN, VALIDATION = make_columns(600), make_columns(300, seed=1)


def without_time(history):
    return [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_s")} for row in history]


@contextmanager
def killed_after(epoch):
    """Kill a training as soon as this epoch, and no earlier one, is saved."""
    save, saved = checkpoint.save, []

    def save_then_die(state, folder):
        save(state, folder)
        saved.append(state.epoch)
        if state.epoch == epoch:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, "save", save_then_die)
        yield
    assert saved == [*range(1, epoch + 1)]


MEASURE = Validation.measure


def script(monkeypatch, scores):
    """Let the validation find these scores, one an epoch; return where the weights of each epoch will be."""
    scores, kept = iter(scores), []

    def scripted(self, steps):
        kept.append(steps.weights())
        return MEASURE(self, steps) | {"mean_domain_auc": next(scores)}

    monkeypatch.setattr(Validation, "measure", scripted)
    return kept


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


class LateWeights(Plugin):
    """Halves the losses once half of the training is done, or when it would end."""

    def __init__(self, settings, model, classifier=None):
        super().__init__(settings, model, classifier)
        self.on = model.add_weight(name="on", shape=(), initializer="zeros", trainable=False)
        self.heard = []

    def weigh(self, losses, inputs):
        return losses * (1 - 0.5 * self.on)

    def reached(self, share):
        before, after = float(self.on.numpy()), float(share >= 0.5)
        self.heard.append(share)
        self.on.assign(max(before, after))
        return after > before

    def figures(self):
        return {"late": float(self.on.numpy())}


def test_d3_weighs_the_losses_of_the_second_half_and_says_so(place):
    model = fresh_model("shared_bottom", "d3")
    history = trainer.train(model, TRAIN, VALIDATION, LEARNING.model_copy(update={"epochs": 4}), *place)
    assert [row["d3"]["weights_on"] for row in history] == [False, False, True, True]
    for values in history[0]["d3"]["domains"].values():
        assert 0.6 <= values["complexity"] <= 1.5 and 0.5 <= values["specificity"] <= 1.5
        assert sum(values["attention"]) == pytest.approx(1, abs=1e-4)


@pytest.mark.exhaustive
def test_killed_while_d3_weighs_the_losses_it_goes_on_weighing_them(place, tmp_path, monkeypatch):
    learning = LEARNING.model_copy(update={"epochs": 6, "patience": 2})
    rows, scores = (TRAIN, VALIDATION, learning), [0.6, 0.5, 0.5, 0.55, 0.5]
    script(monkeypatch, scores)
    whole = trainer.train(fresh_model("shared_bottom", "d3"), *rows, tmp_path / "other", tmp_path / "logs2")
    assert [row["d3"]["weights_on"] for row in whole] == [False, False, False, True, True]
    script(monkeypatch, scores)
    with killed_after(4):
        trainer.train(fresh_model("shared_bottom", "d3"), *rows, *place)
    resumed = trainer.train(fresh_model("shared_bottom", "d3"), *rows, *place)
    assert len(resumed) == 5  # and no other phase begins
    assert resumed[-1]["d3"]["weights_on"] and resumed[-1]["loss"] == whole[-1]["loss"]


@pytest.mark.parametrize(
    ("patience", "scores", "on", "heard"),
    [
        # The second half of the epochs.
        (9, [0.6, 0.5, 0.7, 0.65], [0, 0, 1, 1], [0, 0.25, 0.5, 0.75, 1.0]),
        # From the best epoch on, when nothing gets better.
        (1, [0.6, 0.5, 0.7, 0.65], [0, 0, 1, 1], [0, 0.25, 1.0, 0, 0.25]),
        # Both, where the second half made nothing better.
        (
            9,
            [0.9, 0.5, 0.6, 0.6, *[0.5] * 4],
            [0, 0, *[1] * 6],
            [0, 0.25, 0.5, 0.75, 1.0, 0, 0.25, 0.5, 0.75],
        ),
    ],
)
def test_plug_ins_hear_how_far_a_training_is(place, monkeypatch, patience, scores, on, heard):
    script(monkeypatch, scores)
    entry = Entry("late", LateWeights, "", "", ())
    monkeypatch.setattr(base, "plugins_of", lambda architecture, model: [entry])
    model = fresh_model()
    [plugin] = model._plugins
    learning = LEARNING.model_copy(update={"epochs": 4, "patience": patience})
    history = trainer.train(model, TRAIN, VALIDATION, learning, *place)
    assert plugin.heard == heard
    assert [row["late"] for row in history] == on
    assert history[on.index(1)]["loss"] < 0.7 * history[0]["loss"]


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
