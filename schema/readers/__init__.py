"""Readers of public raw formats, one a file; found by name.

A reader is a module of this folder with `FILES`, `columns(**options)` and `read(folder, **options)`.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from schema.rows import Block
from schema.suggest import nearest


class Reader(Protocol):
    """What a module of this folder offers.

    Attributes:
        FILES: names of the raw files, as published.
    """

    FILES: tuple[str, ...]

    def columns(self, **options) -> list[str]:
        """Return the names of the columns that `read` delivers."""

    def read(self, folder: Path, **options) -> Iterator[Block]:
        """Yield the rows of the raw files in a folder."""


def find_reader(name: str) -> Reader:
    """Return the reader of a public format, such as `movielens-1m`.

    Raises:
        ValueError: unknown name; says which there are and the nearest one.
    """
    known = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem != "__init__")
    module = name.replace("-", "_")
    if module not in known:
        names = [stem.replace("_", "-") for stem in known]
        there = ", ".join(names) or "none"
        raise ValueError(f"{name!r} is no reader; there are: {there}.{nearest(name, names)}")
    return importlib.import_module(f"schema.readers.{module}")
