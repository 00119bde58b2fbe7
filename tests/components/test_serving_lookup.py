"""The tables of users and items: the newest rows, the last clicks, and whose property a feature is."""

import json

import polars as pl
import pytest
from example_artifacts import artifact, write_examples
from tfx.types import standard_artifacts

from components.serving_lookup import tables
from components.serving_lookup.component import ServingLookup
from schema.log_schema import LogSchema

FEATURES = {
    "user": {},
    "item": {},
    "age": {"kind": "numeric"},
    "genre": {"kind": "sequence"},
    "device": {"group": "context"},
}
LOG = LogSchema.model_validate(
    {
        "domain": "channel",
        "label": {"column": "click"},
        "time": {"column": "ts"},
        "user": "user",
        "item": "item",
        "features": FEATURES,
    }
)


def impressions(count: int) -> list[dict]:
    """Rows in which age is the user's, genre the item's, and the device changes."""
    return [
        {
            "label": int(i % 3 == 0),
            "time": 1_700_000_000 + i,
            "channel": "news" if i % 4 else "sport",
            "user": f"u{i % 7}",
            "item": f"i{i % 5}",
            "age": None if i % 7 == 6 else 20.0 + i % 7,
            "genre": [f"g{i % 5}", "all"],
            "device": f"d{i % 11}",
        }
        for i in range(count)
    ]


def run_lookup(place, splits, log=LOG):
    examples = write_examples(place / "examples", splits)
    popularity = artifact(standard_artifacts.ExampleStatistics, place / "popularity")
    # Its Beam is TFX's to give; here the file that it would write is enough.
    counts = pl.DataFrame(
        {
            "item": ["i0", "i1", "i2", "i0"],
            "domain": ["news", "news", "news", "sport"],
            "impressions": [10, 20, 5, 4],
            "positives": [3, 3, 1, 4],
        }
    )
    counts.write_parquet(place / "popularity" / "items_by_domain.parquet")
    lookup = artifact(standard_artifacts.ExampleStatistics, place / "lookup")
    ServingLookup.test_call(
        examples=examples, popularity=popularity, lookup=lookup, log=log.model_dump_json(), code=""
    )
    return place / "lookup", lookup


def test_each_user_and_item_has_its_newest_row_whatever_split_holds_it(tmp_path):
    rows = impressions(70)
    rows[3]["item"] = None
    splits = {"train": rows[35:], "validation": rows[:35], "test": []}
    folder, lookup = run_lookup(tmp_path, splits)
    users = {row["user"]: row for row in pl.read_parquet(folder / "users.parquet").to_dicts()}
    assert set(users) == {f"u{i}" for i in range(7)} and len(users) == lookup.get_int_custom_property("users")
    newest = rows[69]
    assert {name: users[newest["user"]][name] for name in newest} == newest
    items = {row["item"]: row["time"] for row in pl.read_parquet(folder / "items.parquet").to_dicts()}
    assert items == {f"i{i}": 1_700_000_065 + i for i in range(5)}
    clicks = [row["item"] for row in rows if row["user"] == "u0" and row["label"] and row["item"]]
    assert users["u0"]["mdr_clicked"] == list(dict.fromkeys(reversed(clicks)))[::-1]


def test_a_feature_is_its_user_s_its_item_s_or_the_impression_s(tmp_path):
    folder, _ = run_lookup(tmp_path, {"train": impressions(300)})
    owners = json.loads((folder / "owners.json").read_text())
    expected = {"user": "user", "item": "item", "age": "user", "genre": "item", "device": "context"}
    assert owners == expected


def test_popular_items_are_those_most_clicked_in_each_domain_and_in_all(tmp_path):
    folder, _ = run_lookup(tmp_path, {"train": impressions(10)})
    popular = pl.read_parquet(folder / "popular.parquet")
    by_domain = dict(popular.group_by("domain").agg("item").iter_rows())
    assert by_domain == {"news": ["i1", "i0", "i2"], "sport": ["i0"], "": ["i0", "i1", "i2"]}


def test_the_tables_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_ROWS", 3)
    monkeypatch.setattr(tables, "MAX_CLICKED", 2)
    rows = impressions(70)
    folder, _ = run_lookup(tmp_path, {"train": rows})
    users = pl.read_parquet(folder / "users.parquet")
    assert users["user"].to_list() == ["u4", "u5", "u6"]  # seen last
    assert set(users["mdr_clicked"].list.len()) == {2}


@pytest.mark.parametrize("missing", ["user", "item"])
def test_a_log_without_user_or_item_has_no_tables(tmp_path, missing):
    log = LOG.model_copy(update={missing: None})
    folder, _ = run_lookup(tmp_path, {"train": impressions(10)}, log)
    assert list(folder.iterdir()) == []
