"""Writes a generated sample: dated logs, the truth beside them and a config that is ready to run."""

import filecmp
import json
import os
import tempfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from sklearn.metrics import roc_auc_score

from schema.sample.config import config_text
from schema.sample.generate import FIRST_DAY, Sample, generate
from schema.sample.truth import Truth

LOGS, TRUTH, MODEL, CONFIG = "logs", "truth.parquet", "truth.json", "config.yaml"


def write(
    folder: str | Path,
    rows: int = 150_000,
    domains: int = 25,
    days: int = 14,
    seed: int = 0,
    shares: list[float] | None = None,
) -> Path:
    """Generate logs into a folder; a file that would not change is left alone, so that a run stays valid.

    Args:
        folder: receives `logs/DATE.csv.gz`, `truth.parquet` (the logs' rows, day by day, with their true
            click probability and interest), `truth.json` (the true model and the best reachable AUC) and
            `config.yaml`.
        rows, domains, days, seed, shares: as `generate` takes them.

    Returns:
        The folder.

    Raises:
        FileExistsError: the folder holds something else.
        ValueError: the arguments do not fit together.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / MODEL).is_file():
        raise FileExistsError(f"{folder} is not empty and holds no sample; name another folder.")
    sample = generate(rows, domains, days, seed, shares)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
        _write_logs(sample, Path(beside) / LOGS)
        pa.parquet.write_table(sample.truth, Path(beside) / TRUTH)
        (Path(beside) / MODEL).write_text(json.dumps(_model(sample), indent=1) + "\n", encoding="utf-8")
        (Path(beside) / CONFIG).write_text(config_text(sample.model), encoding="utf-8")
        _replace_changed(Path(beside), folder)
    return folder


def read_model(folder: str | Path) -> Truth:
    """Return the true model of a written sample."""
    return Truth.model_validate(json.loads((Path(folder) / MODEL).read_text(encoding="utf-8"))["model"])


def _model(sample: Sample) -> dict:
    clicked = sample.log["clicked"].to_numpy()
    return {
        "model": sample.model.model_dump(),
        "rows": len(clicked),
        "clicks": int(clicked.sum()),
        "best_auc": roc_auc_score(clicked, sample.truth["probability"].to_numpy()),
    }


def _write_logs(sample: Sample, folder: Path) -> None:
    folder.mkdir()
    day = (sample.log["timestamp"].to_numpy() - FIRST_DAY) // 86_400
    starts = np.searchsorted(day, np.arange(sample.model.days + 1))
    for number, (start, end) in enumerate(pairwise(starts)):
        date = datetime.fromtimestamp(FIRST_DAY + number * 86_400, UTC).date()
        with pa.CompressedOutputStream(str(folder / f"{date}.csv.gz"), "gzip") as file:
            pa.csv.write_csv(sample.log.slice(start, end - start), file)


def _replace_changed(new: Path, old: Path) -> None:
    """Move files that are new or differ into place, the config last, and remove logs of an earlier sample."""
    files = sorted((file.relative_to(new) for file in new.rglob("*") if file.is_file()), key=_config_last)
    for path in (old / LOGS).glob("*"):
        if path.relative_to(old) not in files:
            path.unlink()
    for file in files:
        if not (old / file).is_file() or not filecmp.cmp(new / file, old / file, shallow=False):
            (old / file).parent.mkdir(parents=True, exist_ok=True)
            os.replace(new / file, old / file)


def _config_last(file: Path) -> tuple[bool, Path]:
    return file.name == CONFIG, file
