"""Entries `field\\x02id\\x03value` joined by `\\x01`, taken apart for all rows of a block at once."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

ENTRY = r"[0-9_]{1,20}\x02[0-9]{1,9}\x03[0-9]{1,15}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?"
ENTRIES = rf"^{ENTRY}(?:\x01{ENTRY})*$"
AS_CSV = bytes.maketrans(b"\x01\x02\x03", b"\n,,")
COLUMN_TYPES = {"field": pa.dictionary(pa.int32(), pa.string()), "id": pa.int32(), "value": pa.float32()}


class Entries:
    """The entries of a block of rows; a row may hold several of a field.

    Args:
        texts: the entries of each row, strings `(rows,)`.

    Attributes:
        good: which rows are entries throughout, `(rows,)`; the others count as rows without any.
    """

    def __init__(self, texts: pa.Array):
        self.good = pc.fill_null(pc.match_substring_regex(texts, ENTRIES), False).to_numpy(
            zero_copy_only=False
        )
        texts = texts.filter(pa.array(self.good))
        counts = pc.count_substring(texts, "\x01").to_numpy() + 1
        self._row = np.repeat(np.flatnonzero(self.good), counts)
        table = _as_table(texts)
        fields = table["field"].combine_chunks()
        self._field = fields.indices.to_numpy()
        self._code = {name: code for code, name in enumerate(fields.dictionary.to_pylist())}
        self._id, self._value = table["id"].to_numpy(), table["value"].to_numpy()

    def single(self, field: str) -> pl.Series:
        """Return each row's id of a field, int32 `(rows,)`: of its last entry; null where it has none."""
        at = self._entries_of(field)
        ids = np.full(len(self.good), -1, np.int32)
        ids[self._row[at]] = self._id[at]  # of several assignments to a row numpy keeps the last
        return pl.Series(pa.array(ids, mask=ids < 0))

    def several(self, field: str, most: int) -> pl.Series:
        """Return each row's first ids of a field, at most `most`, as lists of int32 `(rows,)`."""
        at = self._entries_of(field)
        row = self._row[at]
        counts = np.bincount(row, minlength=len(self.good))
        rank = np.arange(len(row)) - (np.cumsum(counts) - counts)[row]
        offsets = np.concatenate([[0], np.cumsum(np.minimum(counts, most))]).astype(np.int32)
        return pl.Series(pa.ListArray.from_arrays(pa.array(offsets), pa.array(self._id[at][rank < most])))

    def total(self, field: str) -> pl.Series:
        """Return the sum of each row's values of a field, float32 `(rows,)`; 0 where it has no entry."""
        at = self._entries_of(field)
        sums = np.bincount(self._row[at], weights=self._value[at], minlength=len(self.good))
        return pl.Series(sums.astype(np.float32))

    def _entries_of(self, field: str) -> np.ndarray:
        return np.flatnonzero(self._field == self._code.get(field, -1))


def _as_table(texts: pa.Array) -> pa.Table:
    """Return the entries of all rows as columns field, id, value: but for its signs each is a line of CSV."""
    if not len(texts):
        return pa.table({name: pa.array([], kind) for name, kind in COLUMN_TYPES.items()})
    rows = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    lines = pc.binary_join(rows, "\x01")[0].as_buffer().to_pybytes().translate(AS_CSV)
    return pa_csv.read_csv(
        pa.BufferReader(lines),
        read_options=pa_csv.ReadOptions(
            column_names=list(COLUMN_TYPES), use_threads=False, block_size=len(lines) + 1
        ),
        convert_options=pa_csv.ConvertOptions(column_types=COLUMN_TYPES),
    )
