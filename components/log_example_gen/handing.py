"""Hands what another component wrote on to the next one, and writes tables beside it."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tfx.types import artifact_utils, standard_artifacts


def hand_through(
    given: standard_artifacts.Examples, handed: standard_artifacts.Examples, splits: Iterable[str]
) -> None:
    """Make some splits of an artifact appear in another one, as they are and without a second copy."""
    for split in splits:
        source = artifact_utils.get_split_uri([given], split)
        target = os.path.join(handed.uri, f"Split-{split}")
        shutil.copytree(source, target, copy_function=link, dirs_exist_ok=True)  # a cluster may try again


def link(source: str, target: str) -> None:
    """Make a file appear in a second place, as a copy where the file system has no hard links."""
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def write_table(table: pa.Table, folder: str, name: str) -> None:
    """Write a Parquet file that is complete when it appears."""
    beside = os.path.join(folder, f".{name}")
    pq.write_table(table, beside)
    os.replace(beside, os.path.join(folder, name))
