"""The model that a run was started with is checked before any row is read."""

import json

import pytest
from tfx.types import standard_artifacts

from components.model_overrides.component import FILE, ModelOverrides
from models.settings import LearningSettings, ModelSettings


def written(folder, overrides, **model):
    hyperparameters = standard_artifacts.HyperParameters()
    hyperparameters.uri = str(folder)
    ModelOverrides.test_call(
        hyperparameters=hyperparameters,
        model=ModelSettings(**model).model_dump_json(),
        learning=LearningSettings().model_dump_json(),
        has_classifier=0,
        overrides=overrides,
        code="",
    )
    return ModelSettings.model_validate_json((folder / FILE).read_text())


def test_the_named_keys_change_and_the_others_stay(tmp_path):
    chosen = written(
        tmp_path, '{"architecture": "star", "settings": {}}', settings={"experts": 2}, embedding_dim=8
    )
    assert (chosen.architecture, chosen.settings, chosen.embedding_dim) == ("star", {}, 8)
    assert written(tmp_path, "") == ModelSettings()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"architecture": "mmo"}, "'mmo' is no architecture.*Did you mean 'mmoe'"),
        ({"architectur": "star"}, "architectur is not a key.*Did you mean 'architecture'"),
        ({"settings": {"exprts": 3}}, "exprts"),
        ({"embedding_dim": 0}, "embedding_dim is 0"),
        (["star"], "must be a JSON object"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, overrides, words):
    with pytest.raises(ValueError, match=words):
        written(tmp_path, json.dumps(overrides))
    assert not (tmp_path / FILE).exists()


def test_text_that_is_no_json_is_said(tmp_path):
    with pytest.raises(ValueError, match="the run's parameter model is 'star', which is no JSON"):
        written(tmp_path, "star")
