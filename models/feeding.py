"""Decodes transformed tf.Examples, once, into memory-mapped columns."""

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from models.backend.base import LABEL
from models.columns import Columns
from models.features import FeatureSpec
from models.pseudo import CONFIDENCE, PROBABILITIES, SOURCE_DOMAIN
from models.settings import PSEUDO

READ_ROWS = 8192  # tf.Examples parsed in one call
SORT_ROWS = 1 << 20  # rows of a column that are sorted at a time


class NoRowsError(ValueError):
    """A split has no rows."""


def load_columns(
    files: list[str],
    spec: FeatureSpec,
    cache: Path,
    extra: Mapping[str, tf.io.FixedLenFeature] = MappingProxyType({}),
) -> Columns:
    """Return the rows of transformed examples, decoded once into a cache folder.

    Args:
        files: gzipped TFRecords of transformed tf.Examples.
        spec: the model's inputs.
        cache: folder of the columns; made if absent, and taken as it is if present.
        extra: what else is read from each row, by name.

    Raises:
        NoRowsError: the files hold no row.
    """
    if not cache.is_dir():
        beside = cache.with_name(f".{cache.name}.{uuid.uuid4().hex}")
        beside.mkdir(parents=True)
        try:
            _decode(files, spec, beside, extra)
            os.rename(beside, cache)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    names = json.loads((cache / "columns.json").read_text(encoding="utf-8"))
    arrays = {name: np.load(cache / f"{i}.npy", mmap_mode="r") for i, name in enumerate(names)}
    return Columns(arrays, np.load(cache / "offsets.npy"))


def load_columns_if_any(files: list[str], spec: FeatureSpec, cache: Path) -> Columns | None:
    """Return what `load_columns` does, None where there is no row."""
    try:
        return load_columns(files, spec, cache)
    except NoRowsError:
        return None


def load_pseudo(files: list[str], spec: FeatureSpec, cache: Path, classes: int) -> Columns:
    """Return pseudo-labelled rows, sorted by pseudo-domain, as `load_columns` does.

    Args:
        files, spec, cache: see there. classes: number of non-dominant domains.

    Returns:
        Columns with the arrays `mdr_p` float32 `(rows, classes)`, `mdr_confidence` float32 and
        `mdr_source_domain` int32 beside the inputs.

    Raises:
        NoRowsError: the files hold no row.
        ValueError: a row has no p, or one of other length; names the split.
    """
    extra = {
        SOURCE_DOMAIN: tf.io.FixedLenFeature([], tf.int64),
        PROBABILITIES: tf.io.FixedLenFeature([classes], tf.float32),
        CONFIDENCE: tf.io.FixedLenFeature([], tf.float32),
    }
    try:
        return load_columns(files, spec, cache, extra)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(
            f"the split {PSEUDO!r} has rows without {PROBABILITIES} of {classes} values, {CONFIDENCE} or"
            f" {SOURCE_DOMAIN}, as PseudoLabeler writes them; let it label this span, too:"
            f" {', '.join(files)}: {error.message}"
        ) from None


def _decode(
    files: list[str], spec: FeatureSpec, folder: Path, extra: Mapping[str, tf.io.FixedLenFeature]
) -> None:
    """Write the files' rows as one `.npy` per column, sorted by domain, in their order within one.

    Memory holds one block of rows at a time: the rows are spooled to disk as they are read, and put in their
    places once the size of every domain is known.
    """
    features = {LABEL: tf.io.FixedLenFeature([], tf.int64), spec.domain: tf.io.FixedLenFeature([], tf.int64)}
    for field in spec.fields:
        kind = tf.float32 if field.kind == "numeric" else tf.int64
        features[field.name] = tf.io.FixedLenFeature([field.length] if field.length else [], kind)
    features |= extra
    types = {
        name: np.dtype(np.float32 if name == LABEL or feature.dtype == tf.float32 else np.int32)
        for name, feature in features.items()
    }
    spools = [folder / f"{i}.spool" for i in range(len(features))]
    sizes = np.zeros(spec.n_domains + 1, np.int64)
    with ExitStack() as stack:
        opened = [stack.enter_context(open(spool, "wb")) for spool in spools]
        records = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP", num_parallel_reads=None)
        for examples in records.batch(READ_ROWS).prefetch(2):
            values = tf.io.parse_example(examples, features)
            sizes += np.bincount(values[spec.domain].numpy(), minlength=len(sizes))
            for spool, (name, kind) in zip(opened, types.items(), strict=True):
                spool.write(np.ascontiguousarray(values[name].numpy().astype(kind)))
    if not sizes.any():
        raise NoRowsError(f"no rows in {', '.join(files) or 'an empty list of files'}.")
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    domain = np.memmap(spools[list(features).index(spec.domain)], np.int32, "r")
    for i, (name, kind) in enumerate(types.items()):
        shape = (len(domain), *features[name].shape)
        column = np.lib.format.open_memmap(folder / f"{i}.npy", "w+", kind, shape)
        _sort(np.memmap(spools[i], kind, "r", shape=shape), domain, offsets, column)
        column.flush()
    for spool in spools:
        spool.unlink()
    np.save(folder / "offsets.npy", offsets)
    (folder / "columns.json").write_text(json.dumps(list(features)), encoding="utf-8")


def _sort(values: np.ndarray, domain: np.ndarray, offsets: np.ndarray, column: np.ndarray) -> None:
    """Copy values to the places that their domains have in a column, block by block."""
    free = offsets[:-1].copy()  # the next free place of each domain
    for first in range(0, len(values), SORT_ROWS):
        block = np.asarray(domain[first : first + SORT_ROWS])
        order = np.argsort(block, kind="stable")
        counts = np.bincount(block, minlength=len(free))
        within = np.arange(len(block)) - np.repeat(np.cumsum(counts) - counts, counts)
        column[np.repeat(free, counts) + within] = values[first : first + SORT_ROWS][order]
        free += counts
