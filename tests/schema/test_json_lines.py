"""JSON lines: a value keeps what it says, and an odd one costs its own row only."""

import json
import time

import pytest

from components.log_example_gen.checks import Checked
from schema.files.reading import read_blocks
from schema.log_schema import LogSchema

LOG = LogSchema.model_validate(
    {
        "domain": "channel",
        "label": {"column": "click"},
        "user": "user",
        "features": {"user": None, "price": {"kind": "numeric"}, "tags": {"kind": "sequence"}},
    }
)
GOOD = {"channel": "news", "click": 1, "user": "u1", "price": 2.5, "tags": ["a", "b"]}


@pytest.fixture
def check(tmp_path):
    """Return what becomes of lines: the good rows' columns, and faults by line."""

    def _check(*changes: dict | bytes):
        lines = [c if isinstance(c, bytes) else json.dumps({**GOOD, **c}).encode() for c in changes]
        file = tmp_path / "log.jsonl"
        file.write_bytes(b"\n".join(lines) + b"\n")
        [parse] = read_blocks(file, "jsonl", "log.jsonl")
        checked = Checked(parse(), LOG, time.time())
        columns = {name: column.filter(checked.good).to_pylist() for name, column in checked.columns.items()}
        return columns, {row.line: row.reason for row in checked.bad_rows()}

    return _check


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        (2**63 + 1, str(2**63 + 1)),
        (2**70, str(2**70)),
        (12.0, "12"),
        (True, "true"),
    ],
)
@pytest.mark.parametrize("beside", ["u1", None])
def test_an_id_keeps_what_it_says_whatever_stands_beside_it(check, value, text, beside):
    columns, faults = check({"user": value}, {"user": beside})
    assert (columns["user"], faults) == ([text, beside], {})


def test_texts_that_look_like_dates_stay_so_in_lists(check):
    assert check({"tags": ["2026-01-01"]})[0]["tags"] == [["2026-01-01"]]


def test_one_text_among_lists_changes_no_other_row(check):
    columns, _ = check({}, {"tags": "a"}, {}, {"tags": None}, {"tags": [1, 2.0]})
    assert columns["tags"] == [["a", "b"], ["a"], ["a", "b"], [], ["1", "2"]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": "dear"}, "price is no number"),
        ({"price": 1e39}, "price is NaN or infinite"),  # of the float32 that is written
        ({"price": [1]}, "price is no number"),
        (b'{"channel": "ne\xffws"}', "not UTF-8"),
        (b'{"channel": "\\ud800"}', "not UTF-8"),
        (b"not json", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"channel": "news"}', "no label (click)"),
    ],
)
def test_an_odd_value_costs_its_own_row_only(check, change, reason):
    columns, faults = check({}, change, {})
    assert faults == {2: reason}
    assert columns["channel"] == ["news", "news"]
    assert columns["price"] == [2.5, 2.5]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"channel": {"name": "news"}}, "channel is no single value"),
        ({"channel": ["news"]}, "channel is no single value"),
        ({"tags": [{"name": "a"}]}, "tags is no list of values"),
    ],
)
def test_records_are_no_values(check, change, reason):
    assert check(change)[1] == {1: reason}
