"""Where everything of a run lies, below the one folder given by `--out`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunFolder:
    """The files of one run folder; a second run on the same folder reuses what has not changed.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def config(self) -> Path:
        """The checked config of the last run that ended well, every default filled in."""
        return self.root / "config.yaml"

    @property
    def metadata(self) -> Path:
        """The ML Metadata store (SQLite)."""
        return self.root / "metadata.sqlite"

    @property
    def artifacts(self) -> Path:
        """What the components wrote, a folder per component and execution."""
        return self.root / "artifacts"

    @property
    def checkpoints(self) -> Path:
        """The state of a training that has not ended."""
        return self.root / "checkpoints"

    @property
    def serving(self) -> Path:
        """Default push target: numbered versions for TF Serving."""
        return self.root / "serving"

    @property
    def schema(self) -> Path:
        """The inferred schema, to be reviewed and curated by a person."""
        return self.root / "schema.pbtxt"

    @property
    def progress(self) -> Path:
        """Progress of the current run, JSON lines."""
        return self.root / "logs" / "progress.jsonl"

    @property
    def log(self) -> Path:
        """Everything that TFX, Beam and TensorFlow print."""
        return self.root / "logs" / "run.log"

    @property
    def lock(self) -> Path:
        """Held by the one run that works here."""
        return self.root / ".lock"

    @property
    def launch(self) -> Path:
        """Config of the run that was started last, and what its start looked up (see pipeline/launch.py)."""
        return self.root / "launch.json"

    @property
    def record(self) -> Path:
        """What the last run that ended well did: components, states, times, artifacts."""
        return self.root / "run.json"

    @property
    def partial(self) -> Path:
        """The same of the last run of a part of the graph, such as a search: it is no finished run."""
        return self.root / "partial.json"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.root / "report.html"


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
