"""Plug-ins that act from a share of a training on, also in one that is killed and goes on."""

import pytest
from conftest_training import LEARNING, TRAIN, VALIDATION, fresh_model, killed_after, script

from models import trainer
from models.architectures import base
from models.plugins.base import Plugin
from models.registry import Entry


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
        (9, [0.6, 0.5, 0.7, 0.65], [0, 0, 1, 1], [0, 0.25, 0.5, 0.75, 1]),
        # From the best epoch on, when nothing gets better.
        (1, [0.6, 0.5, 0.7, 0.65], [0, 0, 1, 1], [0, 0.25, 1, 1, 1]),
        # Both, where the second half made nothing better.
        (9, [0.9, 0.5, 0.6, 0.6, *[0.5] * 4], [0, 0, *[1] * 6], [0, 0.25, 0.5, 0.75, *[1] * 5]),
    ],
)
def test_plug_ins_hear_how_far_a_training_is(place, monkeypatch, patience, scores, on, heard):
    script(monkeypatch, scores)
    entry = Entry("late", LateWeights, "", "", ())
    monkeypatch.setattr(base, "plugins_of", lambda architecture, model: [entry])
    model = fresh_model()
    [plugin] = model._plugins
    learning = LEARNING.model_copy(update={"epochs": 4, "patience": patience, "batch_size": TRAIN.rows})
    history = trainer.train(model, TRAIN, VALIDATION, learning, *place)  # epochs of one step
    assert plugin.heard == heard
    assert [row["late"] for row in history] == on
    assert history[on.index(1)]["loss"] < 0.7 * history[0]["loss"]


def test_a_share_that_falls_within_an_epoch_is_heard_there(place, monkeypatch):
    entry = Entry("late", LateWeights, "", "", ())
    monkeypatch.setattr(base, "plugins_of", lambda architecture, model: [entry])
    model = fresh_model()
    [plugin] = model._plugins
    learning = LEARNING.model_copy(update={"epochs": 1, "batch_size": 8})
    [row] = trainer.train(model, TRAIN, VALIDATION, learning, *place)  # and no second epoch for the weights
    assert row["late"] == 1 and plugin.heard == sorted(plugin.heard)
    before = [share for share in plugin.heard if share < 0.5]
    assert before[0] == 0 and len(before) > 2 and 0.5 < plugin.heard[len(before)] < 0.7


def test_figures_of_d3_are_those_of_their_epoch(place):
    model = fresh_model("shared_bottom", "d3")
    learning = LEARNING.model_copy(update={"epochs": 2, "patience": 9})
    history = trainer.train(model, TRAIN, VALIDATION, learning, *place)
    assert model.d3_means.rows.numpy().sum() == TRAIN.rows  # of the second epoch alone
    first, second = (row["d3"]["domains"] for row in history)
    assert all(first[name]["specificity"] != second[name]["specificity"] for name in first)
