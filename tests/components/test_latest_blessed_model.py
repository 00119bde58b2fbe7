"""The version that serves: the newest that another run pushed, copied whole."""

import json

import pytest
import tensorflow as tf
from tfx.types import standard_artifacts
from tiny_model import save_tiny

from components.latest_blessed_model.component import LatestBlessedModel
from components.latest_blessed_model.versions import PUSH_FILE, key_of_run, latest_version, versions


def add_version(push, number, run_key, date=""):
    """Put a version into a push target as the pusher leaves it; with run_key None, as others do."""
    folder = push / str(number)
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").write_text("")
    if run_key is not None:
        (folder / PUSH_FILE).write_text(json.dumps({"version": number, "run_key": run_key, "date": date}))


def latest(push, run_key, date=""):
    version = latest_version(push, run_key, date)
    return version and version.number


def test_the_newest_version_of_another_run_is_the_latest(tmp_path):
    assert latest(tmp_path / "none", "a") is None
    for number, run_key in ((9, "a"), (10, "b"), (11, "b")):  # 10 comes after 9: as numbers, not as text
        add_version(tmp_path, number, run_key)
    assert latest(tmp_path, "c") == 11
    assert latest(tmp_path, "b") == 9


def test_a_day_that_is_done_is_compared_with_what_it_was_compared_with(tmp_path):
    for number, run_key, date in ((1, "a", "20260104"), (2, "b", "20260105"), (3, "c", "20260106")):
        add_version(tmp_path, number, run_key, date)
    assert latest(tmp_path, "b", "20260105") == 1  # the third is of a later day, and stays in its place
    assert latest(tmp_path, "a", "20260104") is None
    assert latest(tmp_path, "d", "20260105") == 3  # another config on that day was not tried yet
    add_version(tmp_path, 4, "e", "20260105")  # as here: back to the old config is a decision of its own
    assert latest(tmp_path, "b", "20260105") == 4


def test_a_version_that_mdr_did_not_push_counts_and_other_folders_do_not(tmp_path):
    add_version(tmp_path, 1, None)
    for name in (".staging-1", "old", "\u00b2"):  # the last one is a superscript two
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file")
    assert [version.number for version in versions(tmp_path)] == [1]
    assert latest(tmp_path, "a") == 1


def test_a_damaged_version_is_named(tmp_path):
    add_version(tmp_path, 3, "a")
    (tmp_path / "3" / PUSH_FILE).write_text("{")
    with pytest.raises(ValueError, match=r"3.assets\.extra.mdr_push\.json is damaged"):
        latest_version(tmp_path, "b")


def found(push, place, fingerprint="data", overrides="", date=""):
    model, examples = standard_artifacts.Model(), standard_artifacts.Examples()
    model.uri = str(place)
    examples.set_string_custom_property("fingerprint", fingerprint)
    examples.set_string_custom_property("date", date)
    LatestBlessedModel.test_call(
        examples=examples, model=model, push=str(push), config_key="a", overrides=overrides, as_of="", code=""
    )
    return model


def test_the_component_copies_the_latest_version(tmp_path):
    save_tiny(tmp_path / "serving" / "4")
    model = found(tmp_path / "serving", tmp_path / "baseline")
    assert model.get_int_custom_property("found") == 1
    assert model.get_int_custom_property("version") == 4
    assert tf.saved_model.load(str(tmp_path / "baseline" / "Format-Serving")).signatures


def test_no_version_is_said_and_nothing_copied(tmp_path):
    model = found(tmp_path / "none", tmp_path / "baseline")
    assert model.get_int_custom_property("found") == 0
    assert not (tmp_path / "baseline").exists()


def test_the_same_config_on_another_days_data_is_compared_with_what_serves(tmp_path):
    save_tiny(tmp_path / "serving" / "1")
    served = json.dumps({"run_key": key_of_run("a", "data")})
    (tmp_path / "serving" / "1" / PUSH_FILE).parent.mkdir(exist_ok=True)
    (tmp_path / "serving" / "1" / PUSH_FILE).write_text(served)
    assert found(tmp_path / "serving", tmp_path / "same").get_int_custom_property("found") == 0
    for change in ({"fingerprint": "next day"}, {"overrides": '{"architecture": "star"}'}):
        place = tmp_path / next(iter(change))
        assert found(tmp_path / "serving", place, **change).get_int_custom_property("found") == 1
