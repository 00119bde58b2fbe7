"""What the readers of public sets share: finding a published file, its header, and setting bad rows aside."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from schema.files.reading import TEXT_LENGTH, FileError, csv_header, open_text, read_blocks
from schema.rows import BadRow, Block

WHOLE = r"^-?\d{1,18}$"
AGAIN = "the row stands further up already"


@dataclass(frozen=True)
class RawFile:
    """A file of a public set.

    Attributes:
        name: as published. rows, bytes: as published; None where that is not known.
    """

    name: str
    rows: int | None = None
    bytes: int | None = None


def locate(folder: Path, name: str, where: str) -> Path:
    """Return the path of a published file, which may have been gzipped.

    Args:
        folder: of the raw files. name: of the file. where: to get it, said when it is missing.

    Raises:
        FileError: it is not there.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise FileError(f"{folder / name} is missing: {where}")


def csv_blocks(path: Path, names: Sequence[str], header: bool) -> Iterator[Block]:
    """Yield the rows of a published CSV file, all columns as strings.

    Args:
        path: of the file, gzipped or not. names: of its columns. header: whether its first line holds them.

    Raises:
        FileError: the file is empty, broken, or of another version than the published one.
    """
    with open_text(path) as stream:
        first = stream.readline()
    there = csv_header(first, path) if header else first.split(b",")
    if header:
        lacking = [name for name in names if name not in there]
        if lacking:
            raise FileError(
                f"{path}, line 1: no column {', '.join(map(repr, lacking))}; it has: {', '.join(there)}."
                " Is it another version of the file, or another separator than ','?"
            )
    elif len(there) != len(names):
        raise FileError(
            f"{path}, line 1: {len(there)} values between ',' instead of {len(names)} ({', '.join(names)})."
            " Is it another version of the file, or another separator?"
        )
    for parse in read_blocks(path, "csv", path.name, None if header else list(names)):
        yield parse()


def count_lines(path: Path) -> int:
    """Return the number of lines of a text file, a last one without a line break included.

    Raises:
        FileError: the file is empty or a broken gzip file.
    """
    lines, last = 0, b"\n"
    with open_text(path) as stream:
        while text := stream.read(1 << 24):
            lines += text.count(b"\n")
            last = text[-1:]
    return lines + (last != b"\n")


class Sieve:
    """The rows of a block while a reader checks them; a bad row keeps the first reason it was given.

    Args:
        block: rows as they were read. separator: between the values of a bad row's text.
    """

    def __init__(self, block: Block, separator: str = ","):
        self.block = block
        self._separator = separator
        self._reason = np.full(block.table.num_rows, "", dtype=object)

    @property
    def good(self) -> np.ndarray:
        """Which rows have no fault so far, bool `(rows,)`."""
        return self._reason == ""

    def fail(self, mask: np.ndarray, reason: str) -> None:
        """Give the rows of a mask `(rows,)` a reason, unless they have one."""
        self._reason[mask & (self._reason == "")] = reason

    def text(self, name: str) -> pl.Series:
        """Return a column as strings without spaces around them."""
        return pl.Series(name, self.block.table.column(name).cast(pa.string())).str.strip_chars()

    def integers(self, name: str, missing: int | None = None) -> np.ndarray:
        """Return a column as int64 `(rows,)`; text that is no whole number (`12.0`) is a fault.

        Args:
            name: of the column. missing: stands for an empty value; None makes that a fault, too.
        """
        text = self.text(name)
        empty = (text == "").fill_null(True)
        whole = text.str.contains(WHOLE).fill_null(False)
        faulty = ~whole if missing is None else ~(whole | empty)
        self.fail(faulty.to_numpy(), f"{name} is no whole number")
        values = text.set(~whole, None).cast(pl.Int64)
        return values.fill_null(0 if missing is None else missing).to_numpy()

    def kept(self, columns: dict[str, np.ndarray | pl.Series] | list[pl.Series]) -> Block:
        """Return the good rows of some columns, and the bad rows with their lines.

        Args:
            columns: each with a value per row of the block.
        """
        good, bad = self.good, list(self.block.bad)
        for row in np.flatnonzero(~good):
            values = self.block.table.slice(row, 1).to_pylist()[0].values()
            text = self._separator.join(map(str, values))[:TEXT_LENGTH]
            bad.append(BadRow(self.block.file, int(self.block.lines[row]), self._reason[row], text))
        frame = pl.DataFrame(columns).filter(pl.Series(good))
        return Block(frame.to_arrow(), self.block.lines[good], self.block.file, bad)


class Seen:
    """Tells rows that came before, by 64-bit keys: 8 bytes a row, in sorted runs merged as they grow."""

    def __init__(self):
        self._runs: list[np.ndarray] = []

    def again(self, keys: np.ndarray) -> np.ndarray:
        """Return which of some keys `(rows,)` stood before, also earlier in the same call; remember all."""
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        known = np.concatenate([[False], ordered[1:] == ordered[:-1]])[: len(keys)]
        for run in self._runs:
            place = np.minimum(np.searchsorted(run, ordered), len(run) - 1)
            known |= run[place] == ordered
        run = ordered[~known]
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        if len(run):
            self._runs.append(run)
        result = np.empty(len(keys), bool)
        result[order] = known
        return result


def row_keys(table: pa.Table | pl.DataFrame) -> np.ndarray:
    """Return a 64-bit hash of each row, uint64 `(rows,)`."""
    return pl.DataFrame(table).hash_rows(seed=0).to_numpy()
