"""What the readers of public sets share: files found, headers checked, bad rows set aside by line."""

import gzip

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.files.raw import Seen, Sieve, count_lines, csv_blocks, locate
from schema.files.reading import FileError
from schema.rows import BadRow, Block


def test_a_published_file_may_be_gzipped_and_a_missing_one_says_where_to_get_it(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"x\n"))
    assert locate(tmp_path, "a.csv", "get it there.").name == "a.csv.gz"
    with pytest.raises(FileError, match=r"b\.csv is missing: get it there\."):
        locate(tmp_path, "b.csv", "get it there.")


@pytest.mark.parametrize(
    ("text", "header", "message"),
    [
        ("user,item\n1,2\n", True, "line 1: no column 'click'; it has: user, item. Is it another version"),
        ("user;item;click\n1;2;1\n", True, "another separator than ','"),
        ("1\t2\t1\n", False, "line 1: 1 values between ',' instead of 3"),
        ("", False, "is empty"),
    ],
)
def test_a_file_of_another_version_is_refused(tmp_path, text, header, message):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(FileError, match=message):
        list(csv_blocks(tmp_path / "log.csv", ("user", "item", "click"), header))


def test_a_truncated_gzip_is_named(tmp_path):
    whole = gzip.compress(b"1,2,1\n" * 1000)
    (tmp_path / "log.csv.gz").write_bytes(whole[:-9])
    with pytest.raises(FileError, match=r"log\.csv\.gz is a broken gzip file"):
        list(csv_blocks(tmp_path / "log.csv.gz", ("user", "item", "click"), False))


def test_lines_of_a_file_without_header_count_from_one(tmp_path):
    (tmp_path / "log.csv").write_text("1,2\n3\n5,6\n")
    [block] = csv_blocks(tmp_path / "log.csv", ("user", "item"), False)
    assert block.table.to_pylist() == [{"user": "1", "item": "2"}, {"user": "5", "item": "6"}]
    assert block.lines.tolist() == [1, 3]
    assert block.bad == [BadRow("log.csv", 2, "1 values instead of 2", "3")]
    assert count_lines(tmp_path / "log.csv") == 3


def test_a_sieve_keeps_good_rows_and_names_the_first_fault_of_others():
    table = pa.table({"user": ["1", "2.0", "", "x", " 5"], "price": ["", "7", "8", "9", "10"]})
    sieve = Sieve(Block(table, np.arange(11, 16), "log.csv"))
    user, price = sieve.integers("user"), sieve.integers("price", missing=-1)
    sieve.fail(np.array([False, True, False, False, False]), "another fault")
    block = sieve.kept({"user": user, "price": price})
    assert block.table.to_pydict() == {"user": [1, 5], "price": [-1, 10]}
    assert block.lines.tolist() == [11, 15]
    assert [(row.line, row.reason, row.text) for row in block.bad] == [
        (12, "user is no whole number", "2.0,7"),
        (13, "user is no whole number", ",8"),
        (14, "user is no whole number", "x,9"),
    ]


@given(st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=8))
def test_rows_that_came_before_are_told_from_new_ones(blocks):
    seen, known = Seen(), set()
    for block in blocks:
        expected = []
        for key in block:
            expected.append(key in known)
            known.add(key)
        assert seen.again(np.array(block, np.uint64)).tolist() == expected
