"""ItemPopularity counts the training split, whatever its files, and nothing else."""

from collections import Counter
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from example_artifacts import artifact, write_examples
from hypothesis import given, settings
from hypothesis import strategies as st
from tfx.types import standard_artifacts

from components.item_popularity.component import ItemPopularity
from components.item_popularity.popularity import COUNTS, ITEMS, ITEMS_BY_DOMAIN, CountItems, add_up
from schema.log_schema import LogSchema

LOG = LogSchema.model_validate(
    {"domain": "channel", "label": {"column": "clicked"}, "item": "item_id", "features": {"item_id": None}}
)
RUNNER = "FnApiRunner"


def row(item: str | None, domain: str, label: int) -> dict:
    return {"item_id": item, "channel": domain, "label": label, "price": 1.0}


TRAIN = [
    row("i2", "home", 1),
    row("i1", "home", 0),
    row("i2", "home", 1),
    row("i2", "search", 0),
    row(None, "home", 1),
    row("i1", "home", 1),
    row("ïtem", "search", 1),
]


def run(folder: Path, splits: dict[str, list[dict]], log: LogSchema = LOG):
    examples = write_examples(folder / "examples", splits)
    popularity = artifact(standard_artifacts.ExampleStatistics, folder / "popularity")
    ItemPopularity.test_call(
        examples=examples,
        popularity=popularity,
        log=log.model_dump_json(),
        beam_pipeline=TestPipeline(runner=RUNNER),
    )
    return popularity


def test_impressions_positives_and_rate_of_the_training_split(tmp_path):
    popularity = run(tmp_path, {"train": TRAIN, "validation": TRAIN, "test": [row("i9", "home", 1)]})
    assert pq.read_table(f"{popularity.uri}/{ITEMS}").to_pylist() == [
        {"item": "i1", "impressions": 2, "positives": 1, "rate": 0.5},
        {"item": "i2", "impressions": 3, "positives": 2, "rate": 0.6},
        {"item": "ïtem", "impressions": 1, "positives": 1, "rate": pytest.approx(2 / 3)},
    ]
    assert pq.read_table(f"{popularity.uri}/{ITEMS_BY_DOMAIN}").to_pylist() == [
        {"item": "i1", "domain": "home", "impressions": 2, "positives": 1, "rate": 0.5},
        {"item": "i2", "domain": "home", "impressions": 2, "positives": 2, "rate": 0.75},
        {"item": "i2", "domain": "search", "impressions": 1, "positives": 0, "rate": pytest.approx(1 / 3)},
        {"item": "ïtem", "domain": "search", "impressions": 1, "positives": 1, "rate": pytest.approx(2 / 3)},
    ]
    figures = {
        name: popularity.get_int_custom_property(name)
        for name in ("items", "pairs", "impressions", "positives")
    }
    assert figures == {"items": 3, "pairs": 4, "impressions": 6, "positives": 4}
    assert {file.name for file in Path(popularity.uri).iterdir()} == {ITEMS, ITEMS_BY_DOMAIN}


@pytest.mark.parametrize("train", [[], [row(None, "home", 1)]])
def test_a_training_split_without_items_gives_tables_without_rows(tmp_path, train):
    popularity = run(tmp_path, {"train": train})
    assert pq.read_table(f"{popularity.uri}/{ITEMS}").num_rows == 0
    assert popularity.get_int_custom_property("pairs") == 0


def test_a_log_that_names_no_item_gives_tables_without_rows(tmp_path):
    popularity = run(tmp_path, {"train": TRAIN}, LOG.model_copy(update={"item": None}))
    assert pq.read_table(f"{popularity.uri}/{ITEMS_BY_DOMAIN}").column_names == [
        "item",
        "domain",
        "impressions",
        "positives",
        "rate",
    ]


def test_how_the_rows_are_spread_over_files_does_not_matter(tmp_path):
    rows = [row(f"i{number % 7}", f"d{number % 3}", number % 2) for number in range(100)]
    paths = []
    for part in range(4):
        examples = write_examples(tmp_path / str(part), {"train": rows[part::4]})
        paths += [str(file) for file in Path(examples.uri).rglob("*.gz")]
    expected = Counter((one["item_id"], one["channel"]) for one in rows)

    def pairs(table: pa.Table):
        return [((one["item"], one["domain"]), one["impressions"]) for one in table.to_pylist()]

    with TestPipeline(runner=RUNNER) as pipeline:
        counts = pipeline | beam.Create(paths) | CountItems(LOG) | beam.FlatMap(pairs)
        assert_that(counts, equal_to(list(expected.items())))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.booleans()))))
def test_adding_up_parts_equals_counting_all_rows(parts):
    def table(rows):
        columns = [[r[0] for r in rows], [r[1] for r in rows], [1] * len(rows), [int(r[2]) for r in rows]]
        return pa.Table.from_arrays(
            [pa.array(c, f.type) for c, f in zip(columns, COUNTS, strict=True)], schema=COUNTS
        )

    total = add_up([COUNTS.empty_table(), *(add_up([table(rows)]) for rows in parts)])
    rows = [r for part in parts for r in part]
    impressions, positives = Counter(r[:2] for r in rows), Counter(r[:2] for r in rows if r[2])
    assert {(r["item"], r["domain"]): (r["impressions"], r["positives"]) for r in total.to_pylist()} == {
        key: (count, positives[key]) for key, count in impressions.items()
    }
