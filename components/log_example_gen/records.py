"""Typed columns as serialized tf.Examples, and those as gzipped TFRecords."""

import os
from itertools import chain
from pathlib import Path

import google_crc32c
import numpy as np
import pyarrow as pa
from isal import igzip
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

GZIP_LEVEL = 1  # of 0 to 3; higher costs time and saves little


def encode(columns: dict[str, pa.Array]) -> list[bytes]:
    """Return one serialized tf.Example per row; a null value is a feature that is absent.

    Args:
        columns: strings, int64, float32, or lists of strings, by feature name.
    """
    if not len(next(iter(columns.values()))):
        return []
    batch = pa.RecordBatch.from_arrays([_as_list(column) for column in columns.values()], list(columns))
    return RecordBatchToExamplesEncoder().encode(batch)


def frame(examples: list[bytes]) -> bytes:
    """Return examples in TFRecord framing: length, its checksum, the bytes, their checksum."""
    lengths = np.fromiter(map(len, examples), "<u8", len(examples))
    few, which = np.unique(lengths, return_inverse=True)
    heads = np.empty(len(examples), dtype=[("length", "<u8"), ("checksum", "<u4")])
    heads["length"] = lengths
    heads["checksum"] = _masked([google_crc32c.value(length.tobytes()) for length in few])[which]
    tails = _masked(list(map(google_crc32c.value, examples)))
    parts = zip(heads.view("V12").tolist(), examples, tails.view("V4").tolist(), strict=True)
    return b"".join(chain.from_iterable(parts))


def compress(records: bytes) -> bytes:
    """Return one gzip member; members one after the other are a gzip file."""
    return igzip.compress(records, compresslevel=GZIP_LEVEL, mtime=0)


class WholeFile:
    """A file that appears when all of it is written, and not at all where that fails or nothing is written.

    Args:
        path: the file to write.
    """

    def __init__(self, path: Path):
        self._path = path
        self._beside = path.with_name(f".{path.name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._beside, "wb")  # noqa: SIM115 - closed by `__exit__`
        self.rows = 0

    def __enter__(self):
        return self

    def write(self, content: bytes, rows: int) -> None:
        """Append bytes that hold some rows."""
        self._file.write(content)
        self.rows += rows

    def __exit__(self, error, *_):
        self._file.close()
        if self.rows and error is None:
            os.replace(self._beside, self._path)
        else:
            self._beside.unlink()


def _masked(checksums: list[int]) -> np.ndarray:
    """Return TFRecord's masked form of CRC-32C checksums."""
    crc = np.array(checksums, np.uint32)
    with np.errstate(over="ignore"):
        return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)


def _as_list(column: pa.Array) -> pa.Array:
    """Return a column with one list of values per row, as the encoder wants it; null for a missing value."""
    if pa.types.is_list(column.type):
        return pa.ListArray.from_arrays(column.offsets, column.values.cast(pa.binary()))
    if pa.types.is_string(column.type):
        column = column.cast(pa.binary())
    offsets = pa.array(np.arange(len(column) + 1), pa.int32())
    mask = column.is_null() if column.null_count else None
    return pa.ListArray.from_arrays(offsets, column, mask=mask)
