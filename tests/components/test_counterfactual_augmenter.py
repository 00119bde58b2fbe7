"""CounterfactualAugmenter copies positives on unpopular items into minor domains, and nothing else."""

import json
from collections import Counter
from pathlib import Path

import apache_beam as beam
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from augmented_rows import LOG, counts_of, expected_rows, make_rows, of, plain, records, write_files
from example_artifacts import (
    artifact,
    run_statistics_gen,
    run_transform,
    write_examples,
)
from tfx.types import artifact_utils, standard_artifacts

from components.counterfactual_augmenter import component
from components.counterfactual_augmenter.augment import AugmentRows, add_moves, augment_file
from components.counterfactual_augmenter.component import CounterfactualAugmenter
from components.counterfactual_augmenter.plan import make_plan
from components.counterfactual_augmenter.settings import AugmentationSettings
from components.item_popularity import popularity
from components.item_popularity.component import ItemPopularity
from components.item_popularity.popularity import BATCH
from components.log_example_gen import handing
from schema.log_schema import LogSchema
from schema.progress import PROGRESS_FILE

SETTINGS = AugmentationSettings(rho=0.4, minor_share=0.05, r_aug=0.5)
RUNNER = "FnApiRunner"
SPLITS = ("train", "validation", "test")


@pytest.mark.parametrize(("files", "batch"), [(1, BATCH), (3, BATCH), (2, 7)])
def test_the_rows_are_those_of_the_definition(tmp_path, monkeypatch, files, batch):
    monkeypatch.setattr(popularity, "BATCH", batch)
    parts = write_files(tmp_path / "train", make_rows(), files)
    expected = expected_rows(parts, SETTINGS, batch)
    plan = make_plan(counts_of(make_rows()), SETTINGS)
    moves = Counter((plain(record)["mdr_source_domain"], plain(record)["channel"]) for record in expected)

    def as_pairs(table):
        return [((move["source"], move["target"]), move["rows"]) for move in table.to_pylist()]

    with TestPipeline(runner=RUNNER) as pipeline:
        plans = pipeline | "Plans" >> beam.Create([plan])
        made = (
            pipeline
            | beam.Create([str(tmp_path / "train" / name) for name in parts])
            | AugmentRows(plans, str(tmp_path / "made"), LOG, SETTINGS.seed)
            | beam.FlatMap(as_pairs)
        )
        assert_that(made, equal_to(list(moves.items())))
    assert len(expected) > 200 and len(moves) == 6
    got, wanted = ([plain(record) for record in rows] for rows in (records(tmp_path / "made"), expected))
    assert [{**row, "mdr_popularity": 0} for row in got] == [{**row, "mdr_popularity": 0} for row in wanted]
    assert [row["mdr_popularity"] for row in got] == pytest.approx([row["mdr_popularity"] for row in wanted])


def test_four_workers_write_what_one_writes(tmp_path):
    parts = write_files(tmp_path / "train", make_rows(), 8)
    plan = make_plan(counts_of(make_rows()), SETTINGS)
    made = {}
    for workers in (1, 4):
        options = PipelineOptions(
            [f"--runner={RUNNER}", f"--direct_num_workers={workers}", "--direct_running_mode=multi_threading"]
        )
        folder = tmp_path / f"made-{workers}"
        with beam.Pipeline(options=options) as pipeline:
            plans = pipeline | "Plans" >> beam.Create([plan])
            paths = pipeline | beam.Create([str(tmp_path / "train" / name) for name in parts])
            _ = paths | AugmentRows(plans, str(folder), LOG, SETTINGS.seed)
        made[workers] = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert made[1] == made[4] and set(made[1]) == set(parts)


def test_two_equal_rows_draw_each_for_itself_and_another_seed_draws_anew(tmp_path):
    rows = of("i", "home", 1, 500) + of("i", "home", 0, 1500) + of("i", "a", 0, 1)
    made = {}
    for seed in (0, 1):
        chosen = AugmentationSettings(rho=0.4, r_aug=0.1, seed=seed)
        _, moves = run_augmenter(tmp_path / str(seed), dict.fromkeys(SPLITS, rows), chosen)
        made[seed] = moves.get_int_custom_property("rows")
        assert made[seed] == pytest.approx(200, abs=45)  # all or nothing if equal rows drew the same
    assert made[0] != made[1]


def test_the_rows_that_were_copied_are_counted_over_targets_batches_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr(popularity, "BATCH", 7)
    rows = [{**row, "price": float(number)} for number, row in enumerate(make_rows())]
    parts = write_files(tmp_path / "train", rows, 3)
    plan = make_plan(counts_of(rows), SETTINGS)
    moves = add_moves(
        augment_file(str(tmp_path / "train" / name), str(tmp_path / "made"), LOG, 0, plan) for name in parts
    )
    prices = [plain(record)["price"] for record in records(tmp_path / "made")]
    assert (
        sum(moves["originals"].to_pylist())
        == len(set(prices))
        < len(prices)
        == sum(moves["rows"].to_pylist())
    )


@pytest.mark.parametrize(("positives", "warned"), [(3, True), (60, False)])
def test_many_copies_of_a_few_rows_are_counted_and_warned_of(tmp_path, monkeypatch, positives, warned):
    monkeypatch.setenv(PROGRESS_FILE, str(tmp_path / "progress.jsonl"))
    rows = of("i", "home", 1, positives) + of("i", "home", 0, 2000) + of("i", "a", 0, 1)
    _, moves = run_augmenter(tmp_path, dict.fromkeys(SPLITS, rows), AugmentationSettings())
    count, originals = (moves.get_int_custom_property(name) for name in ("rows", "originals"))
    assert originals <= positives and (count > 10 * originals) == warned
    said = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    warnings = [line["warning"] for line in said if "warning" in line]
    assert len(warnings) == warned
    assert all(f"{count:,} augmented rows are copies of {originals:,} rows" in said for said in warnings)


def run_augmenter(folder: Path, splits: dict[str, list[dict]], chosen=SETTINGS, log: LogSchema = LOG):
    """Run ItemPopularity and the component under test; return its two artifacts."""
    ItemPopularity.test_call(
        examples=write_examples(folder / "examples", splits),
        popularity=artifact(standard_artifacts.ExampleStatistics, folder / "popularity"),
        log=log.model_dump_json(),
        beam_pipeline=TestPipeline(runner=RUNNER),
    )
    return run_again(folder, chosen, log)


def run_again(folder: Path, chosen=SETTINGS, log: LogSchema = LOG):
    """Run the component under test on what is in a folder."""
    augmented = artifact(standard_artifacts.Examples, folder / "augmented")
    moves = artifact(standard_artifacts.ExampleStatistics, folder / "moves")
    CounterfactualAugmenter.test_call(
        examples=artifact(standard_artifacts.Examples, folder / "examples", list(SPLITS)),
        popularity=artifact(standard_artifacts.ExampleStatistics, folder / "popularity"),
        augmented_examples=augmented,
        moves=moves,
        log=log.model_dump_json(),
        settings=chosen.model_dump_json(),
        beam_pipeline=TestPipeline(runner=RUNNER),
    )
    return augmented, moves


def test_a_second_try_in_the_same_folder_ends_as_the_first(tmp_path):
    def files():
        return {file: file.read_bytes() for file in (tmp_path / "augmented").rglob("*.gz")}

    run_augmenter(tmp_path, {split: make_rows(100) for split in SPLITS})
    first = files()
    run_again(tmp_path)
    assert files() == first and len(first) == 4


def test_the_component_hands_the_splits_through_and_counts_the_moves(tmp_path):
    train = make_rows()
    # What only validation and test know would show at once: positives on items, in domains of their own.
    others = {split: of(f"item of {split}", "home", 1, 50) + of("i1", split, 1, 5) for split in SPLITS[1:]}
    augmented, moves = run_augmenter(tmp_path, {"train": train, **others})
    assert artifact_utils.decode_split_names(augmented.split_names) == [*SPLITS, "augmented"]
    for split in SPLITS:
        [given], [handed] = (
            list((tmp_path / place / f"Split-{split}").iterdir()) for place in ("examples", "augmented")
        )
        assert given.name == handed.name and given.samefile(handed)
    made = [plain(record) for record in records(tmp_path / "augmented" / "Split-augmented")]
    name = "data-00000-of-00001.gz"
    assert [{**row, "mdr_popularity": 0} for row in made] == [
        {**plain(record), "mdr_popularity": 0} for record in expected_rows({name: train}, SETTINGS)
    ]
    assert {row["label"] for row in made} == {1}
    assert all(row["mdr_popularity"] < SETTINGS.rho for row in made)
    assert {row["mdr_source_domain"] for row in made} == {"home", "search"}
    assert {row["channel"] for row in made} == {"a", "b", "c"}
    table = pq.read_table(f"{moves.uri}/{component.MOVES_FILE}").to_pylist()
    counted = Counter((row["mdr_source_domain"], row["channel"]) for row in made)
    assert {(move["source"], move["target"]): move["rows"] for move in table} == counted
    assert moves.get_int_custom_property("rows") == len(made)
    assert moves.get_string_custom_property("reason") == ""
    rows_with_item = sum(row["item_id"] is not None for row in train)
    assert moves.get_float_custom_property("target") == pytest.approx(SETTINGS.r_aug * rows_with_item)
    domains = pq.read_table(f"{moves.uri}/{component.DOMAINS_FILE}").to_pylist()
    assert sum(domain["rows"] for domain in domains) == rows_with_item
    assert {domain["domain"] for domain in domains if domain["minor"]} == {"a", "b", "c"}
    assert {file.name for file in Path(moves.uri).iterdir()} == {
        component.MOVES_FILE,
        component.DOMAINS_FILE,
    }


def test_an_item_that_was_not_counted_is_not_taken_for_unpopular(tmp_path):
    counted = [row for row in make_rows() if row["item_id"] != "i3"]
    plan = make_plan(counts_of(counted), SETTINGS)
    write_files(tmp_path / "train", make_rows(), 1)
    augment_file(str(tmp_path / "train" / "data-00000.gz"), str(tmp_path / "made"), LOG, 0, plan)
    items = {plain(record)["item_id"] for record in records(tmp_path / "made")}
    assert len(items) > 5 and "i3" not in items


def test_a_file_system_without_hard_links_gets_copies(tmp_path, monkeypatch):
    monkeypatch.setattr(handing.os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    run_augmenter(tmp_path, {split: make_rows(60) for split in SPLITS})
    [copy] = (tmp_path / "augmented" / "Split-test").iterdir()
    [given] = (tmp_path / "examples" / "Split-test").iterdir()
    assert copy.read_bytes() == given.read_bytes() and not copy.samefile(given)


POPULAR = of("i", "home", 1, 300)
NOTHING = {
    "no domain is minor": POPULAR + of("i", "a", 1, 300),
    "no domain is major": [row for domain in range(60) for row in of("i", f"d{domain}", 1, 5)],
    "no item is unpopular": POPULAR + of("i", "a", 1, 3),
    "no unpopular item has a positive in a major domain": POPULAR
    + of("j", "home", 0, 99)
    + of("k", "a", 1, 1),
    "no training row names an item": of(None, "home", 1, 9),
}


@pytest.mark.parametrize("reason", NOTHING)
def test_where_nothing_can_be_augmented_the_split_is_empty_and_says_why(tmp_path, reason):
    chosen = AugmentationSettings(rho=0.05, minor_share=0.02)
    rows = NOTHING[reason]
    augmented, moves = run_augmenter(tmp_path, dict.fromkeys(SPLITS, rows), chosen)
    assert moves.get_string_custom_property("reason").startswith(reason)
    assert moves.get_int_custom_property("rows") == 0
    assert records(Path(augmented.uri) / "Split-augmented") == []
    assert len(records(Path(augmented.uri) / "Split-train")) == len(rows)
    assert pq.read_table(f"{moves.uri}/{component.MOVES_FILE}").num_rows == 0


def test_a_log_that_names_no_item_augments_nothing(tmp_path):
    log = LOG.model_copy(update={"item": None})
    _, moves = run_augmenter(tmp_path, {split: make_rows(60) for split in SPLITS}, log=log)
    assert moves.get_string_custom_property("reason") == "no training row names an item"


def test_nothing_that_is_drawn_is_said_too(tmp_path):
    rows = of("i", "home", 1, 1) + of("i", "home", 0, 200) + of("i", "a", 0, 1)
    chosen = AugmentationSettings(r_aug=1e-9)
    _, moves = run_augmenter(tmp_path, dict.fromkeys(SPLITS, rows), chosen)
    assert moves.get_string_custom_property("reason") == "none was drawn, 2e-07 being expected"


@pytest.mark.exhaustive
def test_an_empty_split_passes_through_transform(tmp_path):
    from components.data_gate.settings import ChecksSettings
    from components.log_schema_gen.component import LogSchemaGen

    augmented, _ = run_augmenter(tmp_path, dict.fromkeys(SPLITS, NOTHING["no domain is minor"]))
    examples = artifact(standard_artifacts.Examples, tmp_path / "examples", list(SPLITS))
    schema = artifact(standard_artifacts.Schema, tmp_path / "schema")
    LogSchemaGen.test_call(
        statistics=run_statistics_gen(examples, tmp_path / "statistics"),
        schema=schema,
        log=LOG.model_dump_json(),
        checks=ChecksSettings().model_dump_json(),
        review="",
        code="",
    )
    splits = (*SPLITS, "augmented")
    _, transformed = run_transform(augmented, schema, LOG, tmp_path / "transformed", splits)
    assert records(Path(transformed.uri) / "Split-augmented") == []
    assert len(records(Path(transformed.uri) / "Split-train")) == 600
