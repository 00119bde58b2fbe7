"""Turns the columns of a block into their final types, and names the rows that cannot be used.

Everything works on whole columns; a single odd value costs its own row, never the column's type.
"""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.log_example_gen.settings import SPLITS
from schema.log_schema import LABEL, TIME, WHOLE_FLOAT, LogSchema
from schema.rows import BadRow, Block

OLDEST = int(datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC).timestamp())
FUTURE_SECONDS = 86_400  # clocks may differ by a day, not more
NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
FLOAT32_MAX = float(np.finfo(np.float32).max)
TEXT_LENGTH = 200


class Checked:
    """A block's rows as typed columns, and what is wrong with some of them.

    Args:
        block: the rows as they were read.
        log: what each column means.
        now: seconds since 1970; a later time than a day from then is a fault.
        split_column: holds the name of each row's split; None where it is not given so.

    Attributes:
        columns: by name of the tf.Example's feature: strings, lists of strings (sequences), float32, and
            int64 for `label` and `time`; null where missing.
        splits: name of each row's split, where a column gives it.
        good: which rows can be used, `(rows,)`.
    """

    def __init__(self, block: Block, log: LogSchema, now: float, split_column: str | None = None):
        self._block = block
        self._reason = np.full(block.table.num_rows, "", dtype=object)
        self.columns: dict[str, pa.Array] = {}
        for name in log.string_columns:
            self.columns[name] = as_strings(self._values(name), is_id=name in (log.user, log.item))
        for name in log.features_of("sequence"):
            self.columns[name] = as_lists(self._values(name, lists=True), log.features[name].separator)
        for name in log.features_of("numeric"):
            self.columns[name] = pc.cast(self._numbers(name, largest=FLOAT32_MAX), pa.float32(), safe=False)
        self._fail(self.columns[log.domain].is_null(), f"no domain ({log.domain})")
        if log.time:
            self.columns[TIME] = self._times(log, now)
        self.columns[LABEL] = self._labels(log)
        self.splits = as_strings(self._values(split_column)) if split_column else None
        if split_column:
            known = pc.fill_null(pc.is_in(self.splits, pa.array(SPLITS)), False)
            self._fail(pc.invert(known), f"split ({split_column}) is none of {', '.join(SPLITS)}")
        self.good = self._reason == ""

    def bad_rows(self) -> list[BadRow]:
        """Return the rows that cannot be used, those that did not parse among them, by line."""
        table, bad = self._block.table, list(self._block.bad)
        for row in np.flatnonzero(~self.good):
            text = ",".join(str(value) for value in table.slice(row, 1).to_pylist()[0].values())
            line = int(self._block.lines[row])
            bad.append(BadRow(self._block.file, line, self._reason[row], text[:TEXT_LENGTH]))
        return sorted(bad, key=lambda row: row.line)

    def _column(self, name: str) -> pa.Array:
        if name not in self._block.table.column_names:  # JSON lines may leave a key out of a whole block
            return pa.nulls(self._block.table.num_rows, pa.string())
        column = self._block.table.column(name).combine_chunks()
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column

    def _values(self, name: str, lists: bool = False) -> pa.Array:
        """Return a column whose values, or the values of whose `lists`, are no records or further lists."""
        column = self._column(name)
        is_list = lists and (pa.types.is_list(column.type) or pa.types.is_large_list(column.type))
        if pa.types.is_nested(column.type.value_type if is_list else column.type):
            self._fail(column.is_valid(), f"{name} is no {'list of values' if lists else 'single value'}")
            return pa.nulls(len(column), pa.string())
        return column

    def _fail(self, mask: pa.Array, reason: str) -> None:
        """Give the rows of a mask a reason, unless they have one already."""
        if pc.any(mask).as_py():
            rows = mask.to_numpy(zero_copy_only=False).astype(bool) & (self._reason == "")
            self._reason[rows] = reason

    def _numbers(self, name: str, largest: float = np.inf) -> pa.Array:
        """Return a column as float64, null where missing; other text, NaN and infinity are faults.

        Args:
            name: of the column. largest: numbers of a larger size are infinite to those who read them.
        """
        column = self._column(name)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = _empty_to_null(column)
            try:
                numbers = pc.cast(column, pa.float64())
            except pa.ArrowInvalid:
                fits = pc.fill_null(pc.match_substring_regex(column, NUMBER), True)
                self._fail(pc.invert(fits), f"{name} is no number")
                text = pc.utf8_trim_whitespace(pc.if_else(fits, column, None))
                numbers = pc.cast(pc.replace_substring_regex(text, r"^\+", ""), pa.float64())
        elif pa.types.is_null(column.type):
            numbers = pc.cast(column, pa.float64())
        else:
            try:
                numbers = pc.cast(column, pa.float64(), safe=False)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                self._fail(column.is_valid(), f"{name} is no number")
                return pa.nulls(len(column), pa.float64())
        finite = pc.and_(pc.is_finite(numbers), pc.less_equal(pc.abs(numbers), largest))
        finite = pc.fill_null(finite, True)
        self._fail(pc.invert(finite), f"{name} is NaN or infinite")
        return pc.if_else(finite, numbers, None)

    def _labels(self, log: LogSchema) -> pa.Array:
        name, above, valid = log.label.column, log.label.above, log.label.range
        numbers = self._numbers(name)
        self._fail(numbers.is_null(), f"no label ({name})")
        if above is None:
            known = pc.or_(pc.equal(numbers, 0.0), pc.equal(numbers, 1.0))
            self._fail(pc.invert(pc.fill_null(known, True)), f"label ({name}) is neither 0 nor 1")
            return pc.cast(numbers, pa.int64(), safe=False)
        if valid is not None:
            inside = pc.and_(pc.greater_equal(numbers, valid[0]), pc.less_equal(numbers, valid[1]))
            reason = f"label ({name}) is outside {valid[0]:g} to {valid[1]:g}"
            self._fail(pc.invert(pc.fill_null(inside, True)), reason)
        return pc.cast(pc.greater(numbers, above), pa.int64())

    def _times(self, log: LogSchema, now: float) -> pa.Array:
        name, unit = log.time.column, log.time.unit
        if unit == "iso":
            seconds = self._iso_times(name)
        else:
            seconds = pc.floor(pc.divide(self._numbers(name), 1000.0 if unit == "ms" else 1.0))
        self._fail(seconds.is_null(), f"no time ({name})")
        early, late = pc.less(seconds, OLDEST), pc.greater(seconds, now + FUTURE_SECONDS)
        outside = pc.fill_null(pc.or_(early, late), False)
        self._fail(outside, f"time ({name}) is before 1990 or in the future: is the unit {unit}?")
        return pc.cast(pc.if_else(outside, None, seconds), pa.int64(), safe=False)

    def _iso_times(self, name: str) -> pa.Array:
        column = self._column(name)
        if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
            return pc.cast(pc.cast(column, pa.timestamp("s"), safe=False), pa.int64())
        text = _empty_to_null(as_strings(column))
        text = pc.replace_substring_regex(text, r"[Zz]$", "")
        zoned = pc.fill_null(pc.match_substring_regex(text, r"[+-]\d{2}:?\d{2}$"), False)
        seconds = [
            self._parse_iso(pc.if_else(zoned, None, text), pa.timestamp("s")),
            self._parse_iso(pc.if_else(zoned, text, None), pa.timestamp("s", "UTC")),
        ]
        unreadable = pc.and_(text.is_valid(), pc.and_(seconds[0].is_null(), seconds[1].is_null()))
        self._fail(unreadable, f"time ({name}) is no ISO date")
        return pc.coalesce(*seconds)

    @staticmethod
    def _parse_iso(text: pa.Array, kind: pa.DataType) -> pa.Array:
        text = pc.replace_substring_regex(text, r"\.\d+", "")  # fractions of a second
        try:
            return pc.cast(pc.cast(text, kind), pa.int64())
        except pa.ArrowInvalid:
            each = []
            for value in text.to_pylist():
                try:
                    each.append(pa.scalar(value, pa.string()).cast(kind).cast(pa.int64()).as_py())
                except pa.ArrowInvalid:
                    each.append(None)
            return pa.array(each, pa.int64())


def as_strings(column: pa.Array, is_id: bool = False) -> pa.Array:
    """Return a column as strings, null where missing or empty.

    Args:
        column: of any type; whole floats become integers' text, since an integer column with a missing value
            is often stored as floats.
        is_id: a user or item id: text such as `12.0` is the id `12`.
    """
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
        whole = pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), 2.0**63))
        whole = pc.fill_null(whole, False)
        integers = pc.cast(pc.if_else(whole, column, None), pa.int64(), safe=False)
        return pc.if_else(whole, pc.cast(integers, pa.string()), pc.cast(column, pa.string()))
    text = _empty_to_null(pc.cast(column, pa.string()))
    if is_id and pc.any(pc.match_substring(text, ".0")).as_py():
        text = pc.replace_substring_regex(text, WHOLE_FLOAT, r"\1")
    return text


def as_lists(column: pa.Array, separator: str) -> pa.Array:
    """Return a column as lists of strings, text cut at a separator, empty values left out."""
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        text = as_strings(column)
        column = pc.split_pattern(pc.fill_null(text, ""), separator)
    values = as_strings(column.flatten())
    rows = pc.list_parent_indices(column).to_numpy()
    keep = values.is_valid()
    counts = np.bincount(rows[keep.to_numpy(zero_copy_only=False)], minlength=len(column))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values.filter(keep))


def _empty_to_null(text: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(text, ""), None, text)
