"""Tuning through TFX's own Tuner executor: a budget, trials that are kept, a grid that is checked."""

import json
from pathlib import Path

import pytest
from conftest_transformed import LOG
from example_artifacts import artifact
from tfx.components.tuner.executor import Executor
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.proto import trainer_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from models import trainer
from models.settings import LearningSettings, ModelSettings, TuningSettings, with_values
from pipeline.config import load
from pipeline.config_errors import ConfigError
from pipeline.tune import check_grid

GRID = {"learning.learning_rate": [1e-3, 1e-2], "model.settings.tower_units": [[4], [8, 4]]}


@pytest.fixture
def search(transformed, tmp_path):
    """Run the Tuner component's executor; return its results."""

    def run(number: int, **settings) -> list[dict]:
        config = {
            "log": LOG.model_dump_json(),
            "model": ModelSettings(architecture="shared_bottom", embedding_dim=4).model_dump_json(),
            "learning": LearningSettings(epochs=1, batch_size=100).model_dump_json(),
            "tuning": TuningSettings(**{"grid": GRID, **settings}).model_dump_json(),
            "checkpoints": str(tmp_path / "checkpoints"),
        }
        kinds = {
            "best_hyperparameters": standard_artifacts.HyperParameters,
            "tuner_results": standard_artifacts.TunerResults,
        }
        outputs = {name: [artifact(kind, tmp_path / f"{name}-{number}")] for name, kind in kinds.items()}
        properties = {
            "tuner_fn": "models.tuner.tuner_fn",
            "train_args": proto_utils.proto_to_json(trainer_pb2.TrainArgs(splits=["train"])),
            "eval_args": proto_utils.proto_to_json(trainer_pb2.EvalArgs(splits=["validation"])),
            "custom_config": json.dumps(config),
        }
        context = BaseExecutor.Context(tmp_dir=str(tmp_path), unique_id="0")
        Executor(context).Do(transformed.artifacts, outputs, properties)
        return json.loads((tmp_path / f"tuner_results-{number}" / "tuner_results.json").read_text())

    return run


@pytest.fixture
def trained(monkeypatch):
    """Count the trainings; in the trainer itself, since TFX loads the tuner anew each time."""
    calls, real = [], trainer.train

    def count(*arguments, **options):
        calls.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(trainer, "train", count)
    return calls


def test_a_larger_budget_goes_on_and_the_grid_ends_it(search, trained):
    assert len(search(0, trials=2)) == len(trained) == 2
    results = search(1, trials=10)
    assert len(results) == len(trained) == 4
    tried = {tuple(trial[key] for key in GRID) for trial in results}
    assert tried == {
        (json.dumps(rate), json.dumps(units))
        for rate in GRID["learning.learning_rate"]
        for units in GRID["model.settings.tower_units"]
    }
    scores = [trial["score"] for trial in results]
    assert scores == sorted(scores, reverse=True) and 0 < scores[-1] <= scores[0] < 1


@pytest.mark.exhaustive
def test_a_killed_search_goes_on_with_the_trial_it_was_in(search, trained, monkeypatch):
    real = trainer.train

    def killed(*arguments, **options):
        if len(trained) == 1:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(trainer, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        search(0, trials=3)
    monkeypatch.setattr(trainer, "train", real)
    assert len(search(1, trials=3)) == 3
    assert len(trained) == 3


def test_minutes_end_the_search_after_a_trial_at_least(search, trained):
    assert len(search(0, trials=4, minutes=1e-6)) == len(trained) == 1


def test_values_go_to_their_settings_and_wrong_ones_are_said():
    model, learning = with_values(
        ModelSettings(), LearningSettings(), {"model.settings.tower_units": [4], "learning.batch_size": 7}
    )
    assert model.settings == {"tower_units": [4]} and learning.batch_size == 7
    with pytest.raises(ValueError, match="must begin with model"):
        TuningSettings(grid={"gate.min_auc": (1,)})
    with pytest.raises(ValueError, match="has no values to try"):
        TuningSettings(grid={"learning.batch_size": ()})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("learning.batch_size", 0, "tuning.grid learning.batch_size cannot be 0: .*greater than or equal"),
        ("learning.batchsize", 5, "learning.batchsize cannot be 5: Extra inputs"),
        ("model.settings.tower_unit", [5], "tower_unit.*Allowed: n_experts"),
        ("model.architecture", "mmoee", "Did you mean 'mmoe'"),
    ],
)
def test_a_wrong_grid_is_said_before_any_work(key, value, message):
    config = load("ciao").model_copy(update={"tuning": TuningSettings(grid={key: (value,)})})
    with pytest.raises(ConfigError, match=message):
        check_grid(config)


def test_nothing_but_the_state_of_the_search_is_left(search, tmp_path):
    search(0, trials=1)
    [work] = (tmp_path / "checkpoints").iterdir()
    assert {path.name.split("-")[0] for path in Path(work).iterdir()} == {"train", "validation", "trials"}
