"""Decodes transformed tf.Examples, once, into memory-mapped columns."""

import json
import os
import shutil
import uuid
from pathlib import Path

import numpy as np
import tensorflow as tf

from models.backend.base import LABEL
from models.columns import Columns
from models.features import FeatureSpec

READ_ROWS = 8192  # tf.Examples parsed in one call


def load_columns(files: list[str], spec: FeatureSpec, cache: Path) -> Columns:
    """Return the rows of transformed examples, decoded once into a cache folder.

    Args:
        files: gzipped TFRecords of transformed tf.Examples.
        spec: the model's inputs.
        cache: folder of the columns; made if absent, and taken as it is if present.

    Raises:
        ValueError: the files hold no row.
    """
    if not cache.is_dir():
        beside = cache.with_name(f".{cache.name}.{uuid.uuid4().hex}")
        beside.mkdir(parents=True)
        try:
            _decode(files, spec, beside)
            os.rename(beside, cache)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    names = json.loads((cache / "columns.json").read_text(encoding="utf-8"))
    arrays = {name: np.load(cache / f"{i}.npy", mmap_mode="r") for i, name in enumerate(names)}
    return Columns(arrays, np.load(cache / "offsets.npy"))


def _decode(files: list[str], spec: FeatureSpec, folder: Path) -> None:
    """Write the files' rows as one `.npy` per column, sorted by domain, in their order within one."""
    features = {LABEL: tf.io.FixedLenFeature([], tf.int64), spec.domain: tf.io.FixedLenFeature([], tf.int64)}
    for field in spec.fields:
        kind = tf.float32 if field.kind == "numeric" else tf.int64
        features[field.name] = tf.io.FixedLenFeature([field.length] if field.length else [], kind)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in features}
    records = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP", num_parallel_reads=None)
    for examples in records.batch(READ_ROWS).prefetch(2):
        for name, values in tf.io.parse_example(examples, features).items():
            is_float = name == LABEL or values.dtype == tf.float32
            parts[name].append(values.numpy().astype(np.float32 if is_float else np.int32))
    if not parts[LABEL]:
        raise ValueError(f"no rows in {', '.join(files) or 'an empty list of files'}.")
    domain = np.concatenate(parts[spec.domain])
    order = np.argsort(domain, kind="stable")
    offsets = np.searchsorted(domain[order], np.arange(spec.n_domains + 2))
    for i, name in enumerate(features):
        np.save(folder / f"{i}.npy", np.concatenate(parts.pop(name))[order])
    np.save(folder / "offsets.npy", offsets)
    (folder / "columns.json").write_text(json.dumps(list(features)), encoding="utf-8")
