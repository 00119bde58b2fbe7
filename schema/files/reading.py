"""Reads CSV, JSON lines and Parquet block by block; a row that does not parse is named by its line.

A block of text is parsed by pyarrow as a whole. Only when that fails, or when its rows are not its lines
(quoted line breaks, blank lines), is the block read line by line, so that every row keeps its line number.
"""

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from isal import igzip, igzip_lib

from schema.files import json_lines
from schema.rows import BadRow, Block

BLOCK_BYTES = 8 << 20
PARQUET_ROWS = 100_000
TEXT_LENGTH = 200  # characters of a bad row that are kept
BOM = b"\xef\xbb\xbf"


class FileError(ValueError):
    """A file as a whole cannot be used; the message names it."""


def read_blocks(
    file: Path, kind: str, name: str, columns: list[str] | None = None
) -> Iterator[Callable[[], Block]]:
    """Yield the blocks of a file, each as a function that parses it, so that threads can share the work.

    Args:
        file: path of the file. name: what the blocks call it.
        kind: `csv`, `jsonl` or `parquet`.
        columns: names of the columns of a CSV file without a header; None where the first line names them.

    Raises:
        FileError: the file is empty, broken or has no rows.
    """
    if kind == "parquet":
        return _parquet_blocks(file, name)
    return _text_blocks(file, kind, name, columns)


@contextmanager
def open_text(file: Path):
    """Open a text file for reading bytes, unzipped if it ends in .gz.

    Raises:
        FileError: the file is empty, or no whole gzip file.
    """
    if file.stat().st_size == 0:
        raise FileError(f"{file} is empty (0 bytes).")
    try:
        with igzip.open(file, "rb") if file.suffix == ".gz" else open(file, "rb") as stream:
            yield stream
    except (EOFError, igzip.BadGzipFile, igzip_lib.IsalError) as error:
        raise FileError(f"{file} is a broken gzip file: {error}.") from None


def csv_header(line: bytes, file: Path) -> list[str]:
    """Return the column names of a CSV file's first line.

    Raises:
        FileError: no header, or a name stands twice in it.
    """
    try:
        names = next(csv.reader([line.removeprefix(BOM).decode().rstrip("\r\n")]), [])
    except UnicodeDecodeError as error:
        raise FileError(f"{file}, line 1: the header is not UTF-8: {error.reason}.") from None
    doubled = sorted({name for name in names if names.count(name) > 1})
    if not names or doubled:
        fault = f"names {', '.join(doubled)} more than once" if doubled else "is empty"
        raise FileError(f"{file}, line 1: the header {fault}.")
    return names


def _text_blocks(
    file: Path, kind: str, name: str, columns: list[str] | None
) -> Iterator[Callable[[], Block]]:
    rows_seen = False
    with open_text(file) as stream:
        names, first_line = columns, 1
        if kind == "csv" and columns is None:
            names, first_line = csv_header(stream.readline(), file), 2
        for text in _whole_lines(stream, quotes=kind == "csv"):
            rows_seen = rows_seen or bool(text.strip())
            yield lambda text=text, line=first_line: _parse(text, kind, names, line, name)
            first_line += text.count(b"\n")
    if not rows_seen:
        raise FileError(f"{file} has no rows.")


def _whole_lines(stream, quotes: bool) -> Iterator[bytes]:
    """Yield blocks that end with a line, and where `quotes` may hold line breaks not inside of them."""
    rest = b""
    while chunk := stream.read(BLOCK_BYTES):
        rest += chunk
        end = rest.rfind(b"\n") + 1
        # An odd number of quotes: the last line break lies inside of a quoted value, or a quote is stray.
        if quotes and rest.count(b'"', 0, end) % 2:
            cut = _outside_quotes(rest, end)
            end = cut or (end if len(rest) > 4 * BLOCK_BYTES else 0)
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest.strip():
        yield rest if rest.endswith(b"\n") else rest + b"\n"


def _outside_quotes(text: bytes, end: int) -> int:
    """Return the end of the last line before `end` up to which the quotes are paired; 0 if there is none."""
    codes = np.frombuffer(text, np.uint8, end)
    breaks = np.flatnonzero(codes == ord("\n"))
    quotes_before = np.searchsorted(np.flatnonzero(codes == ord('"')), breaks)
    outside = breaks[quotes_before % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def _parse(text: bytes, kind: str, names: list[str] | None, first_line: int, file: str) -> Block:
    lines = text.count(b"\n")
    try:
        table = _parse_csv(text, names) if kind == "csv" else json_lines.parse(text)
    except pa.ArrowInvalid:
        table = None
    if table is None or table.num_rows != lines:
        return _parse_by_line(text, kind, names, first_line, file)
    return Block(table, np.arange(first_line, first_line + lines), file)


def _parse_csv(text: bytes, names: list[str]) -> pa.Table | None:
    """Return a block as a table of strings; None where its rows may not be its lines."""
    if text.count(b'"') % 2 or text.count(b"\r") != text.count(b"\r\n"):
        return None
    return pa_csv.read_csv(
        pa.BufferReader(text),
        read_options=pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
        parse_options=pa_csv.ParseOptions(newlines_in_values=b'"' in text),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _parse_by_line(text: bytes, kind: str, names: list[str] | None, first_line: int, file: str) -> Block:
    """Parse a block row by row; the slow way, which knows each row's line."""
    parse = _csv_rows(text, names) if kind == "csv" else json_lines.rows(text)
    rows, lines, bad = [], [], []
    for offset, row, fault, raw in parse:
        if fault:
            bad.append(BadRow(file, first_line + offset, fault, raw[:TEXT_LENGTH]))
        else:
            rows.append(row)
            lines.append(first_line + offset)
    if kind == "csv":
        columns = zip(*rows, strict=True) if rows else [[] for _ in names]
        arrays = [pa.array(column, pa.string()) for column in columns]
        table = pa.table(arrays, names=names)
    else:
        keys = dict.fromkeys(key for row in rows for key in row)
        table = pa.table({key: json_lines.loose_array([row.get(key) for row in rows]) for key in keys})
    return Block(table, np.array(lines, np.int64), file, bad)


def _csv_rows(text: bytes, names: list[str]):
    """Yield line offset, values, fault and text of every row that is not blank.

    A row over several lines that does not parse may have swallowed others through an unpaired quote: only its
    first line is given up, and reading goes on with the next.
    """
    raw_lines = text.split(b"\n")[:-1]
    lines = [line.decode("utf-8", errors="surrogateescape") + "\n" for line in raw_lines]
    start, reader = 0, None
    while start < len(lines):
        if reader is None:
            first, reader = start, csv.reader(map(lines.__getitem__, range(start, len(lines))), strict=True)
        row, fault = None, ""
        try:
            row = next(reader)
        except csv.Error as error:
            fault = f"not CSV: {error}"
        end = first + reader.line_num
        if row is not None and len(row) != len(names):
            fault = f"{len(row)} values instead of {len(names)}"
        if fault and end > start + 1:
            end, reader, fault = (
                start + 1,
                None,
                "not CSV: a quote without its pair, or a broken row of several lines",
            )
        raw = b"\n".join(raw_lines[start:end])
        if not fault and not json_lines.is_utf8(raw):
            fault = "not UTF-8"
        if raw.strip():
            yield start, row, fault, raw.decode("utf-8", errors="replace").rstrip("\r")
        start = end


def _parquet_blocks(file: Path, name: str) -> Iterator[Callable[[], Block]]:
    row = 1
    try:
        for batch in pq.ParquetFile(file).iter_batches(PARQUET_ROWS):
            table = pa.Table.from_batches([batch])
            lines = np.arange(row, row + table.num_rows)
            yield lambda table=table, lines=lines: Block(table, lines, name)
            row += table.num_rows
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{file} is no readable Parquet file: {error}.") from None
    if row == 1:
        raise FileError(f"{file} has no rows.")
