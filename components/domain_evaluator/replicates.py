"""The figures of every slice with each group of users left out, as one Parquet file.

From these come the intervals, and the paired comparison with any other model on the same rows.
"""

import json
import os
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.domain_evaluator.measures import METRICS
from components.log_example_gen.handing import write_table

FILE = "replicates.parquet"
SCHEMA = pa.schema(
    [
        ("slice", pa.string()),  # JSON: [[column, value], ...]
        ("model", pa.string()),
        ("rows", pa.list_(pa.int64())),  # by group of users
        ("positives", pa.list_(pa.int64())),
        *((metric, pa.list_(pa.float64())) for metric in METRICS),  # over all rows, then without each group
        ("curve", pa.list_(pa.float64())),  # rows, prediction and click rate, bin by bin
    ]
)


def as_columns(counts: np.ndarray, values: np.ndarray, curve: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the file has of one slice and model.

    Args:
        counts: rows and positives by group of users, `(GROUPS, 2)`.
        values, curve: of the model, see `measures` and `curves`.
    """
    named = dict(zip(METRICS, values, strict=True))
    return {"rows": counts[:, 0], "positives": counts[:, 1], **named, "curve": curve.ravel()}


@beam.ptransform_fn
def write_replicates(evaluation, key: str, models: list[str], folder: str):
    """Write what was measured under a key of TFMA's evaluation, slice by slice in their order."""
    return (
        evaluation[key]
        | "ToList" >> beam.combiners.ToList()
        | "WriteReplicates" >> beam.Map(_write, models, folder)
    )


def _write(measured: list, models: list[str], folder: str) -> None:
    rows = [
        {
            "slice": json.dumps(one.slice),
            "model": model,
            **as_columns(one.counts, values, curve),
        }
        for one in sorted(measured, key=lambda one: one.slice)
        for model, values, curve in zip(models, one.values, one.curves, strict=True)
    ]
    os.makedirs(folder, exist_ok=True)
    write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder, FILE)


def read_replicates(folder: str | Path) -> dict[str, dict[tuple, dict[str, np.ndarray]]]:
    """Return by model and slice the columns of the file as arrays; NaN where a metric is undefined."""
    found: dict[str, dict[tuple, dict[str, np.ndarray]]] = {}
    for row in pq.read_table(os.path.join(folder, FILE)).to_pylist():
        name = tuple((column, value) for column, value in json.loads(row.pop("slice")))
        found.setdefault(row.pop("model"), {})[name] = {key: np.array(v) for key, v in row.items()}
    return found
