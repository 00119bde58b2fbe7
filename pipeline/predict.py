"""`mdr predict`: scores a file of rows with a pushed model, through the signature that REST clients use."""

import json
import os
from pathlib import Path

import numpy as np
import polars as pl

from components.latest_blessed_model.versions import versions
from components.log_example_gen.checks import as_lists, as_strings
from schema.log_schema import LogSchema
from schema.suggest import nearest

BATCH_ROWS = 8192
DESCRIPTION = "assets.extra/mdr.json"
PROBABILITY = "probability"
READ = {".csv": pl.read_csv, ".jsonl": pl.read_ndjson, ".parquet": pl.read_parquet}
# A CSV's values are read as text, as ingest reads them: `007` is no number. Types and keys of JSON are those
# of all lines, not of the first hundred.
OPTIONS = {".csv": {"infer_schema": False}, ".jsonl": {"infer_schema_length": None}}
WRITE = {
    ".csv": pl.DataFrame.write_csv,
    ".jsonl": pl.DataFrame.write_ndjson,
    ".parquet": pl.DataFrame.write_parquet,
}


def predict(model: Path, rows: Path, out: Path) -> int:
    """Score rows and write them with their click probability.

    Args:
        model: a SavedModel that mdr pushed, or a push target, whose newest version is taken.
        rows: CSV, JSON lines (both also .gz) or Parquet with the columns of the log; others are passed on.
        out: the file to write: `.csv`, `.jsonl` or `.parquet`, the rows with a column `probability`.

    Returns:
        The number of rows.

    Raises:
        ValueError: no model there, unknown file ending, an unreadable file, a missing column, a value that is
            no number. Nothing is written then.
    """
    folder = find_model(model)
    log = LogSchema.model_validate(json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["log"])
    table = _read(rows)
    _check_out(out, table)
    missing = [name for name in (log.domain, *log.features) if name not in table.columns]
    if missing:
        named = "; ".join(f"no column {name!r}.{nearest(name, table.columns)}" for name in missing)
        raise ValueError(f"{rows}: {named} It has: {', '.join(table.columns)}.")
    columns = raw_columns(table, log)

    import tensorflow as tf  # takes seconds: only once the rows are known to fit

    signature = tf.saved_model.load(str(folder)).signatures["columns"]
    scores = []
    for first in range(0, len(table), BATCH_ROWS):
        batch = {name: tf.constant(column[first : first + BATCH_ROWS]) for name, column in columns.items()}
        scores.append(signature(**batch)[PROBABILITY].numpy())
    probability = np.concatenate(scores)
    _write(table.with_columns(pl.Series(PROBABILITY, probability)), out)
    return len(table)


def find_model(model: Path) -> Path:
    """Return the SavedModel of a version's folder or of a push target.

    Raises:
        ValueError: there is none.
    """
    if (model / DESCRIPTION).is_file():
        return model
    pushed = [version.folder for version in versions(model) if (version.folder / DESCRIPTION).is_file()]
    if not pushed:
        raise ValueError(f"{model} is neither a model that mdr pushed nor a folder of its versions.")
    return pushed[-1]


def raw_columns(table: pl.DataFrame, log: LogSchema) -> dict[str, np.ndarray]:
    """Return the columns as the signature `columns` takes them: "" and NaN for what is missing."""
    columns = {}
    for name in (log.domain, *log.features):
        values = table[name].to_arrow()
        kind = "categorical" if name == log.domain else log.features[name].kind
        if kind == "numeric":
            columns[name] = _numbers(table[name])
        elif kind == "sequence":
            lists = as_lists(values, log.features[name].separator).to_pylist()
            lists = [each[: log.features[name].max_length] for each in lists]  # the model reads no further
            longest = max([len(each) for each in lists] + [1])
            columns[name] = np.array([each + [""] * (longest - len(each)) for each in lists], dtype=object)
        else:
            strings = as_strings(values, is_id=name in (log.user, log.item)).fill_null("")
            columns[name] = np.array(strings.to_pylist(), dtype=object)
    return columns


def _numbers(column: pl.Series) -> np.ndarray:
    """Return float32 `(rows,)`, NaN where missing."""
    if column.dtype == pl.String:
        column = column.str.strip_chars().replace("", None)
    numbers = column.cast(pl.Float32, strict=False)
    bad = (column.is_not_null() & numbers.is_null()) | numbers.is_infinite().fill_null(False)
    if bad.any():
        row = bad.arg_max()
        raise ValueError(f"row {row + 1}: {column.name} is {column[row]!r}; it must be a finite number.")
    return numbers.fill_null(float("nan")).to_numpy()


def _read(rows: Path) -> pl.DataFrame:
    ending = Path(rows.stem).suffix if rows.suffix == ".gz" else rows.suffix
    if ending not in READ:
        raise ValueError(f"{rows} must end in one of {', '.join(READ)} (the first two also .gz).")
    if not rows.is_file():
        raise ValueError(f"{rows} is not a file.")
    try:
        table = READ[ending](rows, **OPTIONS.get(ending, {}))
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{rows} is not readable as {ending}: {' '.join(str(error).split())}.") from None
    if not len(table):
        raise ValueError(f"{rows} has no rows.")
    return table


def _check_out(out: Path, table: pl.DataFrame) -> None:
    if out.suffix not in WRITE:
        raise ValueError(f"{out} must end in one of {', '.join(WRITE)}.")
    if not out.parent.is_dir():
        raise ValueError(f"{out.parent} is not a folder; make it first.")
    nested = [name for name, kind in table.schema.items() if kind.is_nested()]
    if out.suffix == ".csv" and nested:
        raise ValueError(f"{out}: a CSV holds no lists ({', '.join(nested)}); use .jsonl or .parquet.")


def _write(table: pl.DataFrame, out: Path) -> None:
    beside = out.with_name(f".{out.name}")
    try:
        WRITE[out.suffix](table, beside)
        os.replace(beside, out)
    finally:
        beside.unlink(missing_ok=True)
