"""Rows on their way in: what was read, and what could not be."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        file: name of the file. line: line number in it, from 1 (for Parquet, row number).
        reason: what is wrong, in few words; the same fault has the same words.
        text: the row as it stood, shortened.
    """

    file: str
    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Block:
    """Some rows of one file.

    Attributes:
        table: their columns, of whatever types the file has.
        lines: line number of each row, from 1, `(rows,)`.
        file: name of the file.
        bad: rows among them that could not be parsed.
    """

    table: pa.Table
    lines: np.ndarray
    file: str
    bad: list[BadRow] = field(default_factory=list)
