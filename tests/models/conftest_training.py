"""Small trainings that several test files share."""

from contextlib import contextmanager

import keras
import pytest
from conftest_models import SPEC, make_columns, small_classifier

from models import checkpoint
from models.architectures.base import create_model
from models.settings import LearningSettings, ModelSettings
from models.validation import Validation

LEARNING = LearningSettings(batch_size=64, epochs=3, patience=3, learning_rate=0.01)
TRAIN, VALIDATION = make_columns(600), make_columns(300, seed=1)
SMALL = {
    "shared_bottom": {"bottom_units": (8,), "tower_units": (4,)},
    "dfei": {"units": (8, 4), "head_units": (4,)},
    "ssctl": {"n_experts": 2, "expert_units": (8,), "gate_units": (4,), "tower_units": (4,)},
}


def fresh_model(architecture="shared_bottom", *plugins):
    keras.utils.set_random_seed(0)
    settings = ModelSettings(architecture=architecture, settings=SMALL[architecture], plugins=plugins)
    return create_model(SPEC, settings, classifier=small_classifier() if architecture == "ssctl" else None)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "work", tmp_path / "logs"


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
