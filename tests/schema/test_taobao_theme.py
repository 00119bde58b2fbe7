"""Taobao's Cloud Theme clicks exactly as published, with MAMDR's negatives."""

import gzip
from pathlib import Path

import polars as pl
import pytest
from google.protobuf import text_format
from public_sets import check_config, ingest, read_all
from tensorflow_metadata.proto.v0 import schema_pb2

from components.log_schema_gen.rules import column_types
from pipeline.config import load
from schema.files import reading
from schema.readers import find_reader, taobao_theme

READER = find_reader("taobao-theme")
CLICKS, ITEMS, USERS = (file.name for file in READER.files())
HEADER = "user_id,theme_id,item_id,leaf_cate_id,cate_level1_id,clk_cnt,reach_time\n"
THEMES = [70, 3, 41, 8, 15, 22, 6, 99, 57, 12, 30]  # in the order of the log, which is not that of the ids


def click(user, theme, item, time=20181207000000, count=1) -> str:
    return f"{user},{theme},{item},{item % 3},{item % 2},{count},{time}\n"


def clicks(themes=THEMES, users=4) -> str:
    return "".join(click(u, t, 10 * t + (u + i) % 5) for t in themes for u in range(users) for i in range(2))


def embedding(ids, key: str, mark: str = " ") -> str:
    text = mark.join(["0.5"] * 128)
    return f"{key},emb\n" + "".join(f'{i},"{text}"\n' if mark == "," else f"{i},{text}\n" for i in ids)


def write(folder: Path, log=None, items=None, users=None, mark=" ") -> Path:
    (folder / CLICKS).write_text(HEADER + (clicks() if log is None else log))
    items = [10 * theme + i for theme in THEMES for i in range(5)] if items is None else items
    (folder / ITEMS).write_text(embedding(items, "item_id", mark))
    (folder / USERS).write_text(embedding(range(4) if users is None else users, "user_id", mark))
    return folder


def read(folder: Path, **options):
    return read_all("taobao-theme", folder, **options)


def test_a_theme_has_its_clicks_once_and_drawn_negatives(tmp_path):
    log = clicks() + click(0, 70, 700, time=20181208000000)  # again, another day: no positive of its own
    rows, bad = read(write(tmp_path, log))
    assert not bad and rows.columns == [*READER.columns(), "line"]
    first = rows.filter(pl.col("domain") == "D1")
    positives = first.filter(pl.col("label") == 1)
    assert set(first["theme_id"]) == {70}
    assert list(positives.select("user_id", "item_id", "line").iter_rows()) == [
        (user, 700 + (user + i) % 5, 2 + 2 * user + i) for user in range(4) for i in range(2)
    ]
    # int(2 / 0.22) = 9 are wanted of each user, and the theme has 3 items that are none of theirs.
    negatives = first.filter(pl.col("label") == 0)
    assert sorted(negatives.select("user_id", "item_id").iter_rows()) == [
        (user, item)
        for user in range(4)
        for item in range(700, 705)
        if item not in (700 + user % 5, 700 + (user + 1) % 5)
    ]
    assert set(negatives["line"]) == {0}


def test_an_item_has_the_categories_of_its_first_click_also_as_a_negative(tmp_path):
    log = clicks() + "0,70,700,9,9,1,20181208000000\n"
    rows, _ = read(write(tmp_path, log))
    assert (
        rows.select(
            (pl.col("leaf_cate_id").cast(pl.Int64) == pl.col("item_id") % 3)
            & (pl.col("cate_level1_id").cast(pl.Int64) == pl.col("item_id") % 2)
        )
        .to_series()
        .all()
    )


def test_domains_are_the_themes_in_the_order_of_the_log_that_keep_a_click(tmp_path):
    rows, bad = read(write(tmp_path, click(9, 50, 700) + click(0, 51, 9) + clicks()))
    order = rows.select("domain", "theme_id").unique(maintain_order=True)
    assert list(order.iter_rows()) == [(f"D{i + 1}", theme) for i, theme in enumerate(THEMES[:10])]
    assert not bad  # neither user 9 nor item 9 has an embedding: MAMDR leaves their rows out


@pytest.mark.parametrize("mark", [" ", ",", ";", "|", "\t", ", "])
def test_any_separator_of_the_embeddings_is_read(tmp_path, mark):
    there = write(tmp_path, mark=mark)
    if mark == ", ":
        for name, key, ids in ((ITEMS, "item_id", range(1000)), (USERS, "user_id", range(4))):
            (there / name).write_text(embedding(ids, key, ",").replace(",0.5", ", 0.5"))
    assert len(read(there)[0]) == 10 * 20


def test_numbers_of_rows_follow_the_ratios_of_table_8(tmp_path):
    items = [10_000 * theme + i for theme in THEMES for i in range(400)]
    log = "".join(click(user, item // 10_000, item) for item in items for user in [item % 4])
    rows, _ = read(write(tmp_path, log, items))
    counts = rows.group_by("domain", "label").len()
    by_domain = {(domain, label): count for domain, label, count in counts.iter_rows()}
    for domain, ratio in (("D1", 0.22), ("D5", 0.47), ("D9", 0.46)):
        assert by_domain[domain, 1] == 400 and by_domain[domain, 0] == 4 * min(int(100 / ratio), 300)
    shares = rows["split"].value_counts(normalize=True).sort("split")["proportion"].to_list()
    assert shares == pytest.approx([0.2, 0.6, 0.2], abs=0.005)


def test_the_seed_decides_all_and_block_sizes_nothing(tmp_path, monkeypatch):
    write(tmp_path, clicks() + "x,70,1,1,1,1,1\n" + clicks(THEMES[:1]))
    whole = read(tmp_path)
    other = read(tmp_path, seed=1)[0]
    assert not whole[0].equals(other)
    assert (
        whole[0].filter(pl.col("label") == 1)["item_id"].equals(other.filter(pl.col("label") == 1)["item_id"])
    )
    monkeypatch.setattr(reading, "BLOCK_BYTES", 700)
    parts = read(tmp_path)
    assert whole[0].equals(parts[0]) and whole[1] == parts[1] and len(whole[1]) == 9


def test_ten_themes_are_the_first_of_twenty(tmp_path):
    themes = list(range(40, 20, -1))
    items = [10 * theme + i for theme in themes for i in range(5)]
    write(tmp_path, clicks(themes), items)
    ten, twenty = read(tmp_path, themes=10)[0], read(tmp_path, themes=20)[0]
    assert twenty["domain"].n_unique() == 20 and twenty[: len(ten)].equals(ten)


def test_bad_rows_are_set_aside_with_their_line(tmp_path):
    log = clicks() + "12.0,70,700,1,1,1,1\n" + click(0, 70, 700) + "1,70\n" + "1,70,x,1,1,1,1\n"
    path = write(tmp_path, log) / CLICKS
    path.write_bytes(path.read_bytes() + b"1,70,7\xff,1,1,1,1\n")
    for name in (ITEMS, USERS):
        with open(tmp_path / name, "a") as text:
            text.write(embedding(["77.0"], "id").splitlines()[1] + "\n78,0.1 0.2\n")
    rows, bad = read(tmp_path)
    assert len(rows) == 10 * 20
    assert [(row.file, row.line, row.reason) for row in bad] == [
        (ITEMS, 57, "item_id is no whole number"),
        (ITEMS, 58, "emb is not 128 numbers"),
        (CLICKS, 90, "user_id is no whole number"),
        (CLICKS, 91, "the row stands further up already"),
        (CLICKS, 92, "2 values instead of 7"),
        (CLICKS, 93, "item_id is no whole number"),
        (CLICKS, 94, "not UTF-8"),
        (USERS, 6, "user_id is no whole number"),
        (USERS, 7, "emb is not 128 numbers"),
    ]


@pytest.mark.parametrize("name", [CLICKS, ITEMS, USERS])
def test_a_missing_file_is_named_before_any_work_with_where_to_get_it(tmp_path, name):
    (write(tmp_path) / name).unlink()
    with pytest.raises(
        ValueError, match=rf"{name} is missing: get the Cloud Theme Click Dataset from Tianchi"
    ):
        next(READER.read(tmp_path))


@pytest.mark.parametrize("name", [CLICKS, ITEMS, USERS])
def test_a_file_in_another_form_is_refused(tmp_path, name):
    path = write(tmp_path) / name
    text = path.read_text()
    for other, message in (
        (text.replace(",", ";"), "no column .* another separator than ','"),
        (text.replace("reach_time", "time").replace("emb", "vector"), "line 1: no column"),
        (text.splitlines()[0] + "\n", f"{name} has no rows"),
        ("", f"{name} is empty"),
    ):
        path.write_text(other)
        with pytest.raises(ValueError, match=message):
            read(tmp_path)


@pytest.mark.parametrize("name", [CLICKS, ITEMS])
def test_a_truncated_gzip_is_refused(tmp_path, name):
    whole = gzip.compress((write(tmp_path) / name).read_bytes())
    (tmp_path / name).unlink()
    (tmp_path / f"{name}.gz").write_bytes(whole[:-9])
    with pytest.raises(ValueError, match=rf"{name}\.gz is a broken gzip file"):
        read(tmp_path)


def test_embeddings_of_another_size_or_of_others_are_refused(tmp_path):
    write(tmp_path, mark="_")
    with pytest.raises(ValueError, match=rf"{ITEMS} has no row with 128 numbers between any of ' ', ','"):
        read(tmp_path)
    write(tmp_path, users=[900])
    with pytest.raises(ValueError, match=r"embeddings in 0 themes; 10 are needed\. Do the embedding files"):
        read(tmp_path)


def test_another_number_of_themes_names_the_known_ones():
    with pytest.raises(ValueError, match="themes 15 of taobao-theme must be one of 10, 20, 30"):
        READER.columns(themes=15)


@pytest.mark.parametrize("themes", [10, 20, 30])
def test_the_configs_fit_the_reader_and_the_curated_schema(themes):
    check_config(f"taobao-{themes}")
    config = load(f"taobao-{themes}")
    schema = text_format.Parse(Path(config.checks.schema_file).read_text(), schema_pb2.Schema())
    assert {feature.name for feature in schema.feature} == set(column_types(config.log))
    values = next(feature for feature in schema.feature if feature.name == "domain").string_domain.value
    assert list(values) == [f"D{i + 1}" for i in range(len(taobao_theme.RATIOS))]


def test_the_published_counts_are_those_of_table_1():
    assert READER.published(themes=20) == {"rows": 243_592 + 96_591 + 106_500, "domains": 20}


def test_the_config_ingests_the_raw_files(tmp_path):
    summary = ingest("taobao-10", write(tmp_path, clicks() + "1,70\n"), tmp_path)
    assert sum(summary.rows.values()) == 10 * 20 and min(summary.rows.values()) > 10
    assert summary.bad == {"2 values instead of 7": 1}
