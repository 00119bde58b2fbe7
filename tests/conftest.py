"""What several rooms' tests share: the public data, if it is there, and one whole pipeline run."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import PROJECT, kill_when_running, mdr

import models  # noqa: F401 - before TensorFlow: it settles which Keras `tf.keras` is

SHARED = Path(os.environ.get("MDR_SHARED", PROJECT.parent / "shared"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the public data sets; the test is skipped where it is absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: set MDR_SHARED to the folder that holds data/ml-1m and data/ciao.")
    return folder


# Files whose tests share a costly fixture of the session; the groups of xdist's own are lost on pytest 9.
TOGETHER = {
    "pipeline_run": (
        "test_run.py",
        "test_report.py",
        "test_compare.py",
        "test_bless.py",
        "test_serve_run.py",
        "test_daily.py",
    ),
    "transformed": ("test_architectures.py", "test_domain_parameters.py", "test_export.py", "test_tuner.py"),
}


# The longest come first: at the end one of them would leave the other workers without work.
LONGEST = ("test_execution.py", *TOGETHER["pipeline_run"], "test_bench_quality.py", "test_backend.py")


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file, and of files that belong together, in one of the worker processes."""
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False  # it would begin with the files of many tests, which are quick

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return next((name for name, files in TOGETHER.items() if Path(file).name in files), file)

    return ByFile(config, log)


@dataclass(frozen=True)
class PipelineRun:
    """One whole run, killed once on its way.

    Attributes:
        folder: its --out.
        config: its config file.
        settings: the keys it overrides.
        killed_at: the component that ran when the first attempt was killed.
        resumed: the second attempt, which went to the end.
    """

    folder: Path
    config: Path
    settings: tuple[str, ...]
    killed_at: str
    resumed: subprocess.CompletedProcess

    def record(self) -> dict:
        """What the last attempt did."""
        return json.loads((self.folder / "run.json").read_text())

    def states(self) -> dict[str, str]:
        """State of each component in the last attempt."""
        return {name: component["state"] for name, component in self.record()["components"].items()}


@pytest.fixture(scope="session")
def pipeline_run(tmp_path_factory) -> PipelineRun:
    """Run the pipeline on a small sample: kill it hard in the middle, run the same command again."""
    place = tmp_path_factory.mktemp("pipeline")
    sample = mdr("sample", "--out", place / "sample", "--rows", "8000", "--domains", "6", "--days", "6")
    assert sample.returncode == 0, sample.stderr
    config, folder = place / "sample" / "config.yaml", place / "run"
    changes = ("learning.epochs=2", "learning.batch_size=256", "augmentation.rho=0.4")
    settings = tuple(f"--set={change}" for change in changes)
    arguments = ["run", "--config", config, "--out", folder, *settings]
    killed_at = kill_when_running(arguments, folder, "Transform")
    return PipelineRun(folder, config, settings, killed_at, mdr(*arguments))
