"""What the last run that ended left in its folder outlives one that is refused, fails or is killed."""

import pytest
from command import kill_when_running, mdr
from rich.console import Console

from pipeline.config import load
from pipeline.results import load_results
from pipeline.run import run
from pipeline.run_folder import RunFolder

KEPT = {
    "run.json": '{"launch": {"lost_pushes": 0}, "components": {}}',
    "config.yaml": "of the run that ended",
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    place = tmp_path_factory.mktemp("sample")
    assert mdr("sample", "--out", place, "--rows", "1000", "--domains", "2", "--days", "3").returncode == 0
    return place / "config.yaml"


@pytest.fixture
def finished(tmp_path):
    """A folder in which a run has ended; only these files say so."""
    for name, text in KEPT.items():
        (tmp_path / name).write_text(text)
    return RunFolder(tmp_path)


def kept(folder):
    return {name: (folder.root / name).read_text() for name in KEPT if (folder.root / name).is_file()}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model.settings.foo=1", "settings of mmoe: foo: Extra inputs are not permitted. Allowed: "),
        pytest.param(
            "learning.settings.foo=1",
            "settings of joint: foo: Extra inputs are not permitted. Allowed: ",
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_a_wrong_setting_is_a_wrong_config_and_no_component_starts(sample, finished, change, words):
    done = mdr("run", "--config", sample, "--out", finished.root, "--set", change)
    assert done.returncode == 2
    assert words in done.stderr and "What was finished" not in done.stderr
    assert kept(finished) == KEPT
    assert not finished.metadata.exists() and not finished.artifacts.exists()


def test_a_failed_run_leaves_the_record_of_the_one_before(sample, finished):
    done = mdr("run", "--config", sample, "--out", finished.root, "--set", "log.label.column=timestamp")
    assert done.returncode == 1
    assert "LogExampleGen failed" in done.stderr
    assert kept(finished) == KEPT


@pytest.mark.exhaustive
def test_a_killed_run_leaves_the_record_of_the_one_before(sample, finished):
    kill_when_running(["run", "--config", sample, "--out", finished.root], finished.root, "LogExampleGen")
    assert kept(finished) == KEPT


@pytest.mark.exhaustive
def test_a_part_of_the_graph_as_mdr_tune_runs_it_leaves_the_record_and_is_no_finished_run(sample, finished):
    components = run(load(sample), finished, Console(quiet=True), until="LogExampleGen")
    assert components["LogExampleGen"]["outputs"]["examples"]["properties"]["rows"] > 900
    assert kept(finished) == KEPT
    finished.record.unlink()
    with pytest.raises(ValueError, match="holds no finished run"):
        load_results(finished)
