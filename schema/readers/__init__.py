"""Readers of public raw formats, one a file; found by name.

A reader is a module of this folder with the members of `Reader`; all its functions take the same options.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from schema.files.raw import RawFile
from schema.rows import Block
from schema.suggest import nearest

SPLIT = "split"  # the column in which a reader says what the paper's protocol makes of a row


class Reader(Protocol):
    """What a module of this folder offers.

    Attributes:
        WHERE: where the raw files come from, in one sentence.
    """

    WHERE: str

    def files(self, **options) -> list[RawFile]:
        """Return the raw files that `read` needs."""

    def published(self, **options) -> dict[str, int]:
        """Return published counts of what `read` delivers: `rows`, `positives`, `domains`, where known."""

    def columns(self, **options) -> list[str]:
        """Return the names of the columns that `read` delivers."""

    def read(self, folder: Path, **options) -> Iterator[Block]:
        """Yield the rows of the raw files in a folder, every block with the same columns and types."""


def reader_names() -> list[str]:
    """Return the names that `find_reader` knows."""
    stems = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem != "__init__")
    return [stem.replace("_", "-") for stem in stems]


def find_reader(name: str) -> Reader:
    """Return the reader of a public format, such as `movielens-1m`.

    Raises:
        ValueError: unknown name; says which there are and the nearest one.
    """
    names = reader_names()
    if name not in names:
        there = ", ".join(names) or "none"
        raise ValueError(f"{name!r} is no reader; there are: {there}.{nearest(name, names)}")
    return importlib.import_module(f"schema.readers.{name.replace('-', '_')}")
