"""Rows of one file found by a key of another, and ids that came before: in little memory."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from schema.files.raw import Seen
from schema.files.reading import FileError
from schema.rows import BadRow, Block

RUNNING = 1 << 30  # ids below this, those of a running number, cost `RunningIds` a byte each


class Lookup:
    """A table whose rows are found by their keys.

    Args:
        keys: integers `(rows,)`, each once. frame: the rows, at least one.
    """

    def __init__(self, keys: np.ndarray, frame: pl.DataFrame):
        self.frame = frame
        self._order = np.argsort(keys)
        self._keys = keys[self._order]

    def places(self, keys: np.ndarray) -> pl.Series:
        """Return the place of each key `(keys,)` in the table, null where it is not there."""
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return pl.Series(self._order[at]).set(pl.Series(self._keys[at] != keys), None)

    def rows(self, places: pl.Series) -> pl.DataFrame:
        """Return the rows at some places, a row of nulls for null."""
        return self.frame.select(pl.all().gather(places))


def gather(path: Path, blocks: Iterable[Block], key: str) -> tuple[Lookup, list[BadRow]]:
    """Return all rows of a file by one of their columns, and its bad rows.

    Args:
        path: of the file. blocks: its rows. key: integer column, each value of it once.

    Raises:
        FileError: there is no good row.
    """
    frames, bad = [], []
    for block in blocks:
        frames.append(pl.DataFrame(block.table))
        bad += block.bad
    frame = pl.concat(frames, rechunk=True)
    if not len(frame):
        raise FileError(f"{path} has no good line; line {bad[0].line}: {bad[0].reason}.")
    return Lookup(frame[key].to_numpy(), frame.drop(key)), bad


class RunningIds:
    """Tells ids that came before: a byte for each of a running number, more for others."""

    def __init__(self):
        self._running = np.zeros(RUNNING, bool)  # pages of it that are never written take no memory
        self._others = Seen()

    def again(self, ids: np.ndarray) -> np.ndarray:
        """Return which of some ids `(rows,)` stood before, also earlier in the same call; remember all."""
        known = np.ones(len(ids), bool)
        known[np.unique(ids, return_index=True)[1]] = False
        running = (ids >= 0) & (ids < RUNNING)
        known[running] |= self._running[ids[running]]
        known[~running] |= self._others.again(ids[~running].astype(np.uint64))
        self._running[ids[running]] = True
        return known


def again_among(seen: Seen | RunningIds, keys: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Return which of the good rows have a key that came before, `(rows,)`; bad rows are not remembered."""
    again = np.zeros(len(keys), bool)
    again[good] = seen.again(keys[good])
    return again
