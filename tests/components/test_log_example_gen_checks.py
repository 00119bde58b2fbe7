"""Typing: every column gets its type, and one odd value costs its own row only."""

import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from components.log_example_gen.checks import Checked
from schema.log_schema import LogSchema
from schema.rows import Block

LOG = LogSchema.model_validate(
    {
        "domain": "channel",
        "label": {"column": "click"},
        "time": {"column": "ts"},
        "user": "user",
        "features": {"user": None, "price": {"kind": "numeric"}, "tags": {"kind": "sequence"}},
    }
)
DAY, START = 86_400, 1_767_225_600  # 2026-01-01
GOOD = {"channel": "news", "click": "1", "ts": str(START), "user": "u1", "price": "2.5", "tags": "a|b"}


def checked(rows: list[dict], log: LogSchema = LOG):
    """Return the typed columns of rows, and their faults by row number."""
    table = pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)
    result = Checked(Block(table, np.arange(len(rows)), "log"), log, time.time())
    return result.columns, {row.line: row.reason for row in result.bad_rows()}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"channel": ""}, "no domain (channel)"),
        ({"click": ""}, "no label (click)"),
        ({"click": "2"}, "label (click) is neither 0 nor 1"),
        ({"click": "yes"}, "click is no number"),
        ({"ts": ""}, "no time (ts)"),
        ({"ts": "yesterday"}, "ts is no number"),
        ({"ts": str(START * 1000)}, "time (ts) is before 1990 or in the future: is the unit s?"),
        ({"ts": "-5"}, "time (ts) is before 1990 or in the future: is the unit s?"),
        ({"price": "yes"}, "price is no number"),
        ({"price": "nan"}, "price is NaN or infinite"),
        ({"price": "inf"}, "price is NaN or infinite"),
    ],
)
def test_one_odd_value_costs_its_own_row_only(change, reason):
    columns, faults = checked([GOOD, {**GOOD, **change}, GOOD])
    assert faults == {1: reason}
    assert columns["price"].type == pa.float32()
    assert columns["label"].to_pylist()[::2] == [1, 1]


def test_missing_features_are_no_fault():
    columns, faults = checked([{**GOOD, "user": "", "price": "", "tags": ""}])
    assert faults == {}
    assert (columns["user"][0].as_py(), columns["price"][0].as_py(), columns["tags"][0].as_py()) == (
        None,
        None,
        [],
    )


def test_ids_keep_their_text_and_whole_floats_become_whole_numbers():
    ids = ["12.0", "007", "1e3", str(2**63), "-4.00", "1.5"]
    columns, _ = checked([{**GOOD, "user": value} for value in ids])
    assert columns["user"].to_pylist() == ["12", "007", "1e3", str(2**63), "-4", "1.5"]
    columns, _ = checked([{**GOOD, "user": 12.0}, {**GOOD, "user": None}, {**GOOD, "user": 1.5}])
    assert columns["user"].to_pylist() == ["12", None, "1.5"]
    columns, _ = checked([{**GOOD, "user": 2**62 + 1}])
    assert columns["user"].to_pylist() == [str(2**62 + 1)]


def test_a_label_from_a_rating():
    log = LOG.model_copy(update={"label": LOG.label.model_copy(update={"above": 3, "range": (1, 5)})})
    columns, faults = checked([{**GOOD, "click": rating} for rating in ("3", "4", "5", "0", "6")], log)
    assert columns["label"].to_pylist()[:3] == [0, 1, 1]
    assert faults == dict.fromkeys((3, 4), "label (click) is outside 1 to 5")


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        ("s", str(START)),
        ("s", START + 0.4),
        ("ms", START * 1000 + 999),
        ("iso", "2026-01-01"),
        ("iso", "2026-01-01T00:00:00Z"),
        ("iso", "2026-01-01 00:00:00.123"),
        ("iso", "2026-01-01T02:00:00+02:00"),
        ("iso", pd.Timestamp("2026-01-01")),
    ],
)
def test_times_of_every_unit(unit, value):
    log = LOG.model_copy(update={"time": LOG.time.model_copy(update={"unit": unit})})
    columns, faults = checked([{**GOOD, "ts": value}], log)
    assert (columns["time"].to_pylist(), faults) == ([START], {})


def test_an_iso_time_that_is_none_costs_its_own_row_only():
    log = LOG.model_copy(update={"time": LOG.time.model_copy(update={"unit": "iso"})})
    columns, faults = checked([{**GOOD, "ts": ts} for ts in ("2026-01-01", "soon", "2026-13-01")], log)
    assert faults == dict.fromkeys((1, 2), "time (ts) is no ISO date")
    assert columns["time"][0].as_py() == START


def test_lists_and_dictionaries_are_taken_as_they_are():
    tags = pa.array([["a", None, "b"], [], None], pa.list_(pa.string()))
    table = pa.table({**{k: [v] * 3 for k, v in GOOD.items()}, "tags": tags})
    table = table.set_column(0, "channel", pa.array(["news", "sport", "news"]).dictionary_encode())
    columns = Checked(Block(table, np.arange(3), "log"), LOG, time.time()).columns
    assert columns["tags"].to_pylist() == [["a", "b"], [], []]
    assert columns["channel"].to_pylist() == ["news", "sport", "news"]
