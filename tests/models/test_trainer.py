"""Training: stops early, keeps the best weights, and a killed training ends like one that was not."""

import keras
import numpy as np
import pytest
from conftest_models import SPEC, make_columns

from models import checkpoint, trainer
from models.architectures.base import create_model
from models.columns import Columns
from models.settings import LearningSettings, ModelSettings
from models.validation import Validation
from pipeline.expert_masks import exported_epoch

LEARNING = LearningSettings(batch_size=64, epochs=3, patience=3, learning_rate=0.01)


def fresh_model():
    keras.utils.set_random_seed(0)
    settings = ModelSettings(
        architecture="shared_bottom", settings={"bottom_units": (8,), "tower_units": (4,)}
    )
    return create_model(SPEC, settings)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "work", tmp_path / "logs"


TRAIN, VALIDATION = make_columns(600), make_columns(300, seed=1)


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


def test_a_killed_training_goes_on_and_ends_the_same(place, tmp_path, monkeypatch):
    whole_model = fresh_model()
    whole = trainer.train(whole_model, TRAIN, VALIDATION, LEARNING, tmp_path / "other", tmp_path / "logs2")
    save, saved = checkpoint.save, []

    def save_then_die(state, folder):
        save(state, folder)
        saved.append(state.epoch)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(fresh_model(), TRAIN, VALIDATION, LEARNING, *place)
    monkeypatch.setattr(checkpoint, "save", save)
    assert saved == [1]
    keras.utils.set_random_seed(99)  # nothing may hang on the new process's own randomness
    model = fresh_model()
    resumed = trainer.train(model, TRAIN, VALIDATION, LEARNING, *place)
    assert without_time(resumed) == without_time(whole)
    for a, b in zip(model.weights, whole_model.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_it_stops_when_nothing_gets_better_and_keeps_the_best_weights(place, monkeypatch):
    scores = iter([0.6, 0.7, 0.65, 0.64, 0.9])
    kept = []
    real = Validation.measure

    def scripted(self, steps):
        kept.append(steps.weights())
        return real(self, steps) | {"mean_domain_auc": next(scores)}

    monkeypatch.setattr(Validation, "measure", scripted)
    model = fresh_model()
    learning = LEARNING.model_copy(update={"epochs": 5, "patience": 2})
    history = trainer.train(model, TRAIN, VALIDATION, learning, *place)
    assert len(history) == 4
    assert exported_epoch(history) == 2  # what the report takes for the best one
    for variable, best in zip(model.trainable_variables, kept[1], strict=True):
        np.testing.assert_array_equal(variable.numpy(), best)


def test_pseudo_labelled_rows_and_the_classifier_s_folder_reach_the_method_and_the_model(place, monkeypatch):
    pseudo, folder = make_columns(60, seed=2), place[0] / "classifier"
    settings = ModelSettings(architecture="mlp", embedding_dim=4)
    model = trainer.new_model(SPEC, settings, LEARNING, TRAIN, VALIDATION, folder)
    assert model.classifier_folder == folder and fresh_model().classifier_folder is None
    methods, real = [], trainer.create_method
    monkeypatch.setattr(trainer, "create_method", lambda *rows: methods.append(real(*rows)) or methods[0])
    trainer.train(model, TRAIN, VALIDATION, LEARNING, *place, pseudo=pseudo)
    [method] = methods
    assert method.pseudo is pseudo and method.columns is TRAIN and method.augmented is None


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
