"""The fingerprint of the code behind a component, which TFX's cache cannot see by itself."""

import shutil

import pytest

from pipeline import source
from pipeline.config import load
from pipeline.source import ROOT, code_version, config_key


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the rooms whose files a test may change."""
    for room in ("schema", "models", "components"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(source, "ROOT", tmp_path)
    code_version.cache_clear()
    yield tmp_path
    code_version.cache_clear()


def test_the_same_text_has_the_same_version_anywhere(copy):
    here = code_version("models")
    code_version.cache_clear()
    source.ROOT = ROOT
    assert code_version("models") == here


@pytest.mark.parametrize("change", ["edit", "add", "rename"])
def test_a_change_behind_run_fn_changes_the_trainer_s_version_only(copy, change):
    trainer, ingest = code_version("models"), code_version("components/log_example_gen")
    file = copy / "models" / "layers" / "mlp.py"
    match change:
        case "edit":
            file.write_text(file.read_text() + "\n# changed\n")
        case "add":
            (copy / "models" / "architectures" / "new.py").write_text("")
        case "rename":
            file.rename(file.with_name("mlp2.py"))
    code_version.cache_clear()
    assert code_version("models") != trainer
    assert code_version("components/log_example_gen") == ingest


def test_a_change_of_the_schema_room_changes_every_version(copy):
    before = code_version("components/log_example_gen")
    (copy / "schema" / "rows.py").write_text("")
    code_version.cache_clear()
    assert code_version("components/log_example_gen") != before


def test_a_folder_that_is_not_there_is_an_error():
    with pytest.raises(FileNotFoundError, match="no_such_room"):
        code_version("no_such_room")


def test_the_key_of_a_config_hangs_on_what_a_model_is_made_from():
    key = config_key(load("ciao"))
    assert len(key) == 16
    assert config_key(load("ciao", ["gate.overall.min_auc=0.7", "data.path=elsewhere", "push.keep=3"])) == key
    for change in ("model.embedding_dim=8", "learning.seed=1", "split.seed=1"):
        assert config_key(load("ciao", [change])) != key
