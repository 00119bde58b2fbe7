"""Reads CSV, JSON lines and Parquet block by block; a row that does not parse is named by its line.

A block of text is parsed by pyarrow as a whole. Only when that fails, or when its rows are not its lines
(quoted line breaks, blank lines), is the block read line by line, so that every row keeps its line number.
"""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq
from isal import igzip, igzip_lib

from schema.rows import BadRow, Block

BLOCK_BYTES = 8 << 20
PARQUET_ROWS = 100_000
TEXT_LENGTH = 200  # characters of a bad row that are kept
BOM = b"\xef\xbb\xbf"


class FileError(ValueError):
    """A file as a whole cannot be used; the message names it."""


def read_blocks(file: Path, kind: str) -> Iterator[Callable[[], Block]]:
    """Yield the blocks of a file, each as a function that parses it, so that threads can share the work.

    Args:
        file: path of the file.
        kind: `csv`, `jsonl` or `parquet`.

    Raises:
        FileError: the file is empty, broken or has no rows.
    """
    if kind == "parquet":
        return _parquet_blocks(file)
    return _text_blocks(file, kind)


def open_text(file: Path):
    """Open a text file for reading bytes, unzipped if it ends in .gz.

    Raises:
        FileError: the file is empty.
    """
    if file.stat().st_size == 0:
        raise FileError(f"{file} is empty (0 bytes).")
    return igzip.open(file, "rb") if file.suffix == ".gz" else open(file, "rb")


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


def _text_blocks(file: Path, kind: str) -> Iterator[Callable[[], Block]]:
    rows_seen, good_bytes = False, 0
    try:
        with open_text(file) as stream:
            names, first_line = None, 1
            if kind == "csv":
                names, first_line = csv_header(stream.readline(), file), 2
            for text in _whole_lines(stream):
                rows_seen = rows_seen or bool(text.strip())
                good_bytes += len(text)
                yield lambda text=text, line=first_line: _parse(text, kind, names, line, file)
                first_line += text.count(b"\n")
    except (EOFError, igzip.BadGzipFile, igzip_lib.IsalError) as error:
        raise FileError(
            f"{file} is a broken gzip file: {error} (after {good_bytes:,} bytes of whole rows)"
        ) from None
    if not rows_seen:
        raise FileError(f"{file} has no rows.")


def _whole_lines(stream) -> Iterator[bytes]:
    """Yield blocks that end with a line, and not inside of a quoted value."""
    rest = b""
    while chunk := stream.read(BLOCK_BYTES):
        rest += chunk
        end = rest.rfind(b"\n") + 1
        # An odd number of quotes: the last line break lies inside of a quoted value, or a quote is stray.
        if end and rest.count(b'"', 0, end) % 2:
            cut = _outside_quotes(rest, end)
            end = cut or (end if len(rest) > 4 * BLOCK_BYTES else 0)
        if end:
            yield rest[:end]
            rest = rest[end:]
    if rest.strip():
        yield rest if rest.endswith(b"\n") else rest + b"\n"


def _outside_quotes(text: bytes, end: int) -> int:
    """Return the end of the last line before `end` up to which the quotes are paired; 0 if there is none."""
    odd = True
    while odd:
        quote = text.rfind(b'"', 0, end)
        if quote < 0:
            return 0
        end = text.rfind(b"\n", 0, quote) + 1
        odd = text.count(b'"', 0, end) % 2 == 1
    return end


def _parse(text: bytes, kind: str, names: list[str] | None, first_line: int, file: Path) -> Block:
    lines = text.count(b"\n")
    try:
        table = _parse_csv(text, names) if kind == "csv" else pa_json.read_json(pa.BufferReader(text))
    except pa.ArrowInvalid:
        table = None
    if table is None or table.num_rows != lines:
        return _parse_by_line(text, kind, names, first_line, file)
    return Block(table, np.arange(first_line, first_line + lines), file.name)


def _parse_csv(text: bytes, names: list[str]) -> pa.Table:
    return pa_csv.read_csv(
        pa.BufferReader(text),
        read_options=pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
        parse_options=pa_csv.ParseOptions(newlines_in_values=b'"' in text),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _parse_by_line(text: bytes, kind: str, names: list[str] | None, first_line: int, file: Path) -> Block:
    """Parse a block row by row; the slow way, which knows each row's line."""
    parse = _csv_rows(text, names) if kind == "csv" else _json_rows(text)
    rows, lines, bad = [], [], []
    for offset, row, fault, raw in parse:
        if fault:
            bad.append(BadRow(file.name, first_line + offset, fault, raw[:TEXT_LENGTH]))
        else:
            rows.append(row)
            lines.append(first_line + offset)
    if kind == "csv":
        columns = zip(*rows, strict=True) if rows else [[] for _ in names]
        arrays = [pa.array(column, pa.string()) for column in columns]
        table = pa.table(arrays, names=names)
    else:
        keys = dict.fromkeys(key for row in rows for key in row)
        table = pa.table({key: _loose_array([row.get(key) for row in rows]) for key in keys})
    return Block(table, np.array(lines, np.int64), file.name, bad)


def _csv_rows(text: bytes, names: list[str]):
    """Yield line offset, values, fault and text of every row that is not blank."""
    raw_lines = text.splitlines(keepends=True)
    decoded = (line.decode("utf-8", errors="surrogateescape") for line in raw_lines)
    reader = csv.reader(decoded)
    start = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row, fault = None, f"not CSV: {error}"
        else:
            fault = "" if len(row) == len(names) else f"{len(row)} values instead of {len(names)}"
        raw = b"".join(raw_lines[start : reader.line_num])
        if not fault and not _is_utf8(raw):
            fault = "not UTF-8"
        if raw.strip():
            yield start, row, fault, raw.decode("utf-8", errors="replace").rstrip("\r\n")
        start = reader.line_num


def _json_rows(text: bytes):
    for offset, raw in enumerate(text.split(b"\n")):
        if not raw.strip():
            continue
        shown = raw.decode("utf-8", errors="replace")
        try:
            row = json.loads(raw)
        except UnicodeDecodeError:
            yield offset, None, "not UTF-8", shown
        except ValueError:
            yield offset, None, "not JSON", shown
        else:
            yield offset, row, "" if isinstance(row, dict) else "not a JSON object", shown


def _loose_array(values: list) -> pa.Array:
    """Return an array of JSON values; those of mixed types become text, so that one row retypes no other."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        as_is = (str, type(None))
        return pa.array([value if isinstance(value, as_is) else json.dumps(value) for value in values])


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parquet_blocks(file: Path) -> Iterator[Callable[[], Block]]:
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise FileError(f"{file} is no readable Parquet file: {error}.") from None
    if parquet.metadata.num_rows == 0:
        raise FileError(f"{file} has no rows.")
    row = 1
    for batch in parquet.iter_batches(PARQUET_ROWS):
        table = pa.Table.from_batches([batch])
        lines = np.arange(row, row + table.num_rows)
        yield lambda table=table, lines=lines: Block(table, lines, file.name)
        row += table.num_rows
