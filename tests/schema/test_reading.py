"""Reading: every row keeps its line, every broken row and file is named."""

import csv
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.files import reading
from schema.files.reading import FileError, read_blocks


def read(file, kind="csv"):
    """Return rows as (line, values) and bad rows as (line, reason)."""
    rows, bad = [], []
    for parse in read_blocks(file, kind, file.name):
        block = parse()
        table = block.table.to_pylist()
        rows += [(int(line), tuple(row.values())) for line, row in zip(block.lines, table, strict=True)]
        bad += [(row.line, row.reason) for row in block.bad]
    return rows, bad


@pytest.fixture
def write(tmp_path):
    def _write(content, name="log.csv"):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return _write


def test_plain_rows_and_their_lines(write):
    assert read(write("a,b\n1,x\n2,y\n")) == ([(2, ("1", "x")), (3, ("2", "y"))], [])


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffa,b\n1,x\n2,y\n",
        "a,b\r\n1,x\r\n2,y\r\n",
        '"a","b"\n"1","x"\n"2","y"\n',
        "a,b\n1,x\n2,y",
    ],
    ids=["byte order mark", "CRLF", "quotes", "no last line break"],
)
def test_forms_of_the_same_file(write, content):
    assert read(write(content)) == ([(2, ("1", "x")), (3, ("2", "y"))], [])


def test_short_and_long_lines_cost_only_themselves(write):
    rows, bad = read(write("a,b\n1,x\n2\n3,y,z\n4,w\n"))
    assert rows == [(2, ("1", "x")), (5, ("4", "w"))]
    assert bad == [(3, "1 values instead of 2"), (4, "3 values instead of 2")]


def test_bytes_that_are_not_utf_8_cost_only_their_row(write):
    rows, bad = read(write(b"a,b\n1,x\n2,\xff\xfe\n3,y\n"))
    assert [line for line, _ in rows] == [2, 4]
    assert bad == [(3, "not UTF-8")]


def test_lines_stay_right_after_quoted_line_breaks_and_blank_lines(write):
    rows, bad = read(write('a,b\n1,"x\ny"\n\n2\n3,z\n'))
    assert rows == [(2, ("1", "x\ny")), (6, ("3", "z"))]
    assert bad == [(5, "1 values instead of 2")]


def test_blocks_do_not_cut_rows_or_lose_their_lines(write, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 64)
    values = [(str(i), "line\nbreak" if i % 7 == 0 else "x" * (i % 30)) for i in range(200)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("a", "b"), *values])
    rows, bad = read(write(text.getvalue()))
    assert [row for _, row in rows] == values
    assert bad == []
    lines = text.getvalue().split("\n")
    assert all(lines[line - 1].startswith(f"{value[0]},") for line, value in rows)


@pytest.mark.parametrize("block_bytes", [64, 8 << 20])
@pytest.mark.parametrize("stray", ['10,"x', '"10,x'])
@pytest.mark.parametrize("place", [0, 10, 499])
def test_a_stray_quote_costs_only_its_own_row(write, monkeypatch, place, stray, block_bytes):
    monkeypatch.setattr(reading, "BLOCK_BYTES", block_bytes)
    lines = [f"{i},x" for i in range(500)]
    lines[place] = stray
    rows, bad = read(write("a,b\n" + "\n".join(lines) + "\n"))
    assert [line for line, _ in bad] == [place + 2]
    assert [line for line, _ in rows] == [i + 2 for i in range(500) if i != place]


def test_a_stray_quote_among_quoted_values_takes_no_quadratic_time(write):
    lines = [f'"{i}","x"' for i in range(300_000)]
    lines[1000] = '1000,x"'
    rows, bad = read(write("a,b\n" + "\n".join(lines) + "\n"))
    assert len(rows) + len(bad) == 300_000
    assert len(bad) <= 1


def test_a_carriage_return_inside_of_a_line_is_no_line_break(write):
    rows, bad = read(write('a,b\n1,"x\ry"\n2,y\rz\n\n3,w\n'))
    assert rows == [(2, ("1", "x\ry")), (5, ("3", "w"))]
    assert [line for line, _ in bad] == [3]
    rows, bad = read(write("a,b\n1,x\r2,y\n\n3,z\n"))  # as many of pyarrow's rows as lines, by chance
    assert (rows, [line for line, _ in bad]) == ([(4, ("3", "z"))], [2])


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@given(st.lists(st.text('ab,"\n', max_size=9).map(str.strip), min_size=1, max_size=12))
def test_no_line_is_ever_lost(tmp_path_factory, lines):
    text = "\n".join(lines) + "\n"
    file = tmp_path_factory.mktemp("csv") / "log.csv"
    file.write_text("a,b\n" + text)
    filled = [i + 2 for i, line in enumerate(text.split("\n")) if line]
    if not filled:
        return
    rows, bad = read(file)
    starts = {line: 1 + "".join(values).count("\n") for line, values in rows} | {line: 1 for line, _ in bad}
    covered = sorted(line for start, lines in starts.items() for line in range(start, start + lines))
    assert set(filled) <= set(covered)
    assert len(covered) == len(set(covered))


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_whatever_csv_writes_is_read_back(tmp_path_factory, rows, line_break):
    file = tmp_path_factory.mktemp("csv") / "log.csv"
    with open(file, "w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator=line_break, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    got, bad = read(file)
    assert bad == []
    assert [row for _, row in got] == rows


@given(st.lists(st.binary(max_size=12).map(lambda b: b.replace(b'"', b"'")), min_size=1, max_size=12))
def test_rows_in_are_good_rows_and_bad_rows(tmp_path_factory, lines):
    lines = [line.replace(b"\n", b"").replace(b"\r", b"") for line in lines]
    file = tmp_path_factory.mktemp("csv") / "log.csv"
    file.write_bytes(b"a,b\n" + b"\n".join(lines) + b"\n")
    filled = [line for line in lines if line.strip()]
    if not filled:
        return
    rows, bad = read(file)
    numbers = sorted([line for line, _ in rows] + [line for line, _ in bad])
    assert numbers == [i + 2 for i, line in enumerate(lines) if line.strip()]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"a,b\n", "has no rows"),
        (b"a,b\n\n\n", "has no rows"),
        (b"a,b,a\n1,2,3\n", "names a more"),
    ],
)
def test_files_that_hold_no_log_are_named(write, content, words):
    with pytest.raises(FileError, match=rf"log\.csv.*{words}"):
        read(write(content))


WHOLE = gzip.compress(b"a,b\n" + b"".join(b"%d,x\n" % i for i in range(5000)))
DAMAGED = WHOLE[:200] + b"\x00\x01" + WHOLE[202:]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        WHOLE[: len(WHOLE) // 2],
        WHOLE[:-8],
        WHOLE[:-3],
        DAMAGED,
        b"a,b\n1,x\n",
    ],
    ids=["zero bytes", "half", "no trailer", "part of the trailer", "damaged", "not gzip"],
)
def test_broken_gzip_files_are_named(write, content):
    with pytest.raises(FileError, match=r"log\.csv\.gz"):
        read(write(content, "log.csv.gz"))


def test_gzip_files_of_one_and_several_members_are_read(write):
    assert len(read(write(WHOLE, "log.csv.gz"))[0]) == 5000
    two = gzip.compress(b"a,b\n1,x\n") + gzip.compress(b"2,y\n")
    assert len(read(write(two, "log.csv.gz"))[0]) == 2


def test_json_lines_of_mixed_types_and_broken_lines(write):
    lines = [{"a": 1, "b": "x"}, {"a": "two", "b": ["y", "z"]}, {"b": None, "c": 1.5}]
    text = "\n".join(map(json.dumps, lines)) + "\nnot json\n[1]\n\n" + json.dumps({"a": 3}) + "\n"
    rows, bad = read(write(text, "log.jsonl"), "jsonl")
    assert [line for line, _ in rows] == [1, 2, 3, 7]
    assert bad == [(4, "not JSON"), (5, "not a JSON object")]
    assert rows[1][1][0] == "two"


def test_parquet_rows_are_numbered_and_a_broken_file_is_named(tmp_path):
    file = tmp_path / "log.parquet"
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", None]}), file)
    assert read(file, "parquet") == ([(1, (1, "x")), (2, (2, None))], [])
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(FileError, match=r"log\.parquet is no readable Parquet"):
        read(file, "parquet")
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), file)
    with pytest.raises(FileError, match="has no rows"):
        read(file, "parquet")
