"""Readers of public formats are found by name, and each offers what ingest asks for."""

from inspect import signature
from pathlib import Path

import pytest

import schema.readers
from schema.readers import find_reader

NAMES = sorted(file.stem for file in Path(schema.readers.__file__).parent.glob("[!_]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_offers_files_columns_and_read(name):
    reader = find_reader(name.replace("_", "-"))
    assert reader.files() and reader.WHERE.endswith(".")
    assert set(reader.published()) <= {"rows", "positives", "domains"}
    assert all(isinstance(column, str) for column in reader.columns())
    options = list(signature(reader.columns).parameters)
    assert list(signature(reader.read).parameters)[1:] == options
    assert list(signature(reader.files).parameters) == list(signature(reader.published).parameters) == options


@pytest.mark.parametrize("name", ["movielens-1n", "__init__", "", "os.path", "../rows"])
def test_a_name_that_is_none_says_which_there_are(name):
    with pytest.raises(ValueError, match=r"is no reader; there are: .*movielens-1m"):
        find_reader(name)


def test_the_nearest_reader_is_offered():
    with pytest.raises(ValueError, match=r"Did you mean 'movielens-1m'\?"):
        find_reader("movielens1m")
