"""Amazon reviews of 2018 exactly as published: AREAD's 25 domains and MAMDR's 6 and 13."""

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from google.protobuf import text_format
from public_sets import check_config, ingest, read_all
from tensorflow_metadata.proto.v0 import schema_pb2

from components.log_schema_gen.rules import column_types
from pipeline.config import load
from schema.files import reading
from schema.readers import amazon, find_reader
from schema.readers.amazon import CATEGORIES, DAYS, END, RATIOS

READER = find_reader("amazon")
DAY = 86_400
SIX = list(RATIOS["mamdr-6"])


def user(number: int) -> str:
    return f"A{number:013}"


def item(number: int) -> str:
    return f"B{number:09}"


def rating(u: int, i: int, stars: float = 5.0, days: float = 10) -> str:
    return f"{item(i)},{user(u)},{float(stars)},{int(END - days * DAY)}\n"


def meta(i: int, category: object = ("Books", "History"), **more) -> str:
    known = {
        "category": list(category),
        "tech1": "",
        "title": "A, title",
        "also_buy": [],
        "rank": "5 in Books (",
    }
    return json.dumps({**known, "brand": "Acme", "price": "$1,250.00", **more, "asin": item(i)}) + "\n"


def square(items: range, stars=5.0) -> str:
    """Ratings of three users for all of some items, so that a square of 3 x 3 is a 3-core."""
    return "".join(rating(u, i, stars, days=20 - u - 3 * (i % 3)) for i in items for u in range(3))


BOOKS, GAMES = square(range(3)), square(range(3, 6))


def write(folder: Path, files: dict[str, str] | None = None) -> Path:
    """Write all 58 files; those not given hold a rating too old to count, and an item nobody rated."""
    some = {"Books.csv": BOOKS, "meta_Books.json": "".join(map(meta, range(3)))}
    some |= {"Video_Games.csv": GAMES}
    some |= {"meta_Video_Games.json": "".join(meta(i, ["Video Games"]) for i in range(3, 6))} | (files or {})
    for file in READER.files():
        other = meta(999) if file.name.startswith("meta_") else rating(0, 0, days=DAYS + 1)
        (folder / file.name).write_text(some.get(file.name, other))
    return folder


def read(folder: Path, **options):
    return read_all("amazon", folder, **options)


def pairs(rows: pl.DataFrame) -> list[tuple[int, int]]:
    return [(int(u[1:]), int(i[1:])) for u, i in rows.select("user_id", "item_id").iter_rows()]


def test_a_rating_is_joined_with_its_item(tmp_path):
    rows, bad = read(write(tmp_path))
    assert not bad and len(rows) == 18 and rows.columns == [*READER.columns(), "line"]
    assert rows.row(1, named=True) == {
        "user_id": user(1),
        "item_id": item(0),
        "category": "Books",
        "timestamp": END - 19 * DAY,
        "weekday": 5,  # 2018-07-27 was a Friday
        "brand": "Acme",
        "price": 1250.0,
        "label": 0,
        "split": "train",
        "line": 2,
    }
    assert pairs(rows) == [(u, i) for i in range(6) for u in range(3)]
    assert rows["line"].to_list() == [*range(1, 10), *range(1, 10)]


def test_only_ratings_of_the_span_count(tmp_path):
    edges = rating(0, 0, days=DAYS) + rating(1, 0, days=DAYS + 1 / DAY) + rating(2, 0, days=0)
    rows, bad = read(write(tmp_path, {"Books.csv": BOOKS + edges}))
    assert not bad and len(rows) == 19
    assert rows["timestamp"].min() == END - DAYS * DAY and rows["timestamp"].max() < END


def test_users_and_items_with_fewer_than_three_ratings_go_until_there_are_none(tmp_path):
    # User 7 has three ratings, but item 8 only one: without it user 7 has two, and then item 9 has two.
    chain = rating(7, 8) + rating(7, 9) + rating(7, 0) + rating(0, 9) + rating(1, 9)
    rows, bad = read(write(tmp_path, {"Books.csv": BOOKS + chain}))
    assert not bad and pairs(rows) == [(u, i) for i in range(6) for u in range(3)]


def test_a_rating_above_the_users_own_mean_is_positive_over_all_categories(tmp_path):
    stars = {0: (3, 3, 3, 3, 3, 4), 1: (5, 5, 5, 5, 5, 5), 2: (1, 2, 3, 4, 5, 1)}
    files = {
        "Books.csv": "".join(rating(u, i, stars[u][i]) for u in stars for i in range(3)),
        "Video_Games.csv": "".join(rating(u, i, stars[u][i]) for u in stars for i in range(3, 6)),
    }
    rows, _ = read(write(tmp_path, files))
    labels = dict(zip(pairs(rows), rows["label"], strict=True))
    assert [labels[0, i] for i in range(6)] == [0, 0, 0, 0, 0, 1]
    assert [labels[1, i] for i in range(6)] == [0] * 6
    assert [labels[2, i] for i in range(6)] == [0, 0, 1, 1, 1, 0]


def test_the_domain_is_the_first_category_and_other_items_are_left_out_at_the_end(tmp_path):
    files = {
        "meta_Books.json": meta(0, ["Arts, Crafts &amp; Sewing"]) + meta(1, []) + meta(2, ["Software"]),
        "meta_Video_Games.json": meta(3, ["Toys & Games"]) + meta(4, ["Toys & Games", "Books"]),
        "meta_Appliances.json": meta(4, ["Appliances"]),
    }
    rows, bad = read(write(tmp_path, files))
    by_item = dict(rows.select("item_id", "category").iter_rows())
    expected = {0: "Arts, Crafts & Sewing", 3: "Toys & Games", 4: "Appliances"}
    assert by_item == {item(i): name for i, name in expected.items()} and not bad


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ("$12.99", 12.99),
        ("$5.00 - $10.00", 7.5),
        ("$1,000 - $2,000.50", 1500.25),
        ("", None),
        (".a-box-inner{background-color:#fff}", None),
        ("$12.99 and more", None),
        (None, None),
        (["$3.00"], 3.0),
    ],
)
def test_a_price_may_be_a_range_empty_or_no_price(tmp_path, price, expected):
    lines = "".join(meta(i, price=price, brand="") for i in range(3))
    rows, bad = read(write(tmp_path, {"meta_Books.json": lines}))
    books = rows.filter(pl.col("category") == "Books")
    assert set(books["price"]) == {expected} and set(books["brand"]) == {None} and not bad


def test_the_split_follows_time_and_no_second_is_in_two(tmp_path):
    text = "".join(rating(u, i, days=100 - (10 * u + i) // 2) for u in range(10) for i in range(10))
    lines = "".join(map(meta, range(10)))
    rows, _ = read(
        write(tmp_path, {"Books.csv": text, "meta_Books.json": lines, "Video_Games.csv": rating(0, 0)})
    )
    rows = rows.filter(pl.col("timestamp") < END - 50 * DAY)
    assert rows["split"].value_counts().sort("split")["count"].to_list() == [6, 90, 4]
    edges = {name: part["timestamp"] for (name,), part in rows.group_by("split")}
    assert (
        edges["train"].max() < edges["validation"].min() and edges["validation"].max() < edges["test"].min()
    )


def test_a_rating_in_two_categories_counts_once_and_one_that_stands_twice_in_a_file_is_bad(tmp_path):
    files = {"Books.csv": BOOKS + rating(0, 0, days=20), "Video_Games.csv": GAMES + rating(0, 0, days=20)}
    rows, bad = read(write(tmp_path, files))
    assert len(rows) == 18
    assert [(row.file, row.line, row.reason) for row in bad] == [
        ("Books.csv", 10, "the row stands further up already")
    ]


def test_bad_rows_are_set_aside_with_their_line(tmp_path):
    odd = (
        f"12.0,{user(1)},5.0,{END - DAY}\n"
        + f"{item(1)},12.0,5.0,{END - DAY}\n"
        + f"{item(1)},{user(1)},6.0,{END - DAY}\n"
        + f"{item(1)},{user(1)},5.0,{END - DAY}.0\n"
        + f"{item(1)},{user(1)},5.0\n"
    )
    write(
        tmp_path, {"Books.csv": BOOKS + odd, "meta_Books.json": meta(0) + meta(1) + '{"asin"\n[]\n' + meta(2)}
    )
    with open(tmp_path / "Books.csv", "ab") as file:
        file.write(b"B00000000\xff,A0000000000001,5.0,1534000000\n")
    with open(tmp_path / "meta_Books.json", "a") as file:
        file.write(json.dumps({"asin": 12.5, "category": []}) + "\n")
    rows, bad = read(tmp_path)
    assert len(rows) == 18
    assert [(row.file, row.line, row.reason) for row in bad] == [
        ("Books.csv", 10, "item_id is no item"),
        ("Books.csv", 11, "user_id is no user"),
        ("Books.csv", 12, "rating is none of 1 to 5"),
        ("Books.csv", 13, "timestamp is no whole number"),
        ("Books.csv", 14, "3 values instead of 4"),
        ("Books.csv", 15, "not UTF-8"),
        ("meta_Books.json", 3, "not JSON"),
        ("meta_Books.json", 4, "not a JSON object"),
        ("meta_Books.json", 6, "asin is no item"),
    ]


def test_the_order_of_2014_is_refused_with_its_line(tmp_path):
    other = BOOKS + f"{user(1)},{item(1)},5.0,{END - DAY}\n"
    with pytest.raises(
        ValueError, match=r"Books\.csv, line 10: the user comes before the item, as in .* 2014"
    ):
        read(write(tmp_path, {"Books.csv": other}))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("Books.csv", BOOKS.replace(",", "\t"), "1 values between ',' instead of 4 .* another separator"),
        ("Books.csv", BOOKS.replace(",", ",x,", 1), "line 1: 5 values between ',' instead of 4"),
        ("Books.csv", "", r"Books\.csv is empty"),
        ("Books.csv", "\n\n", "line 1: 1 values between"),
        ("meta_Books.json", "\n", r"meta_Books\.json has no rows"),
        ("meta_Books.json", "asin,category\n", r"meta_Books\.json has no JSON object in any line"),
        (
            "meta_Books.json",
            '{"asin": "B000000000", "categories": [["Books"]]}\n',
            "line 1: no key 'category'; th",
        ),
    ],
)
def test_a_file_in_another_form_is_refused(tmp_path, name, text, message):
    with pytest.raises(ValueError, match=message):
        read(write(tmp_path, {name: text}))


def test_files_without_a_core_or_a_domain_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no users and items have 3 ratings in the 183 days"):
        read(write(tmp_path, {"Books.csv": rating(0, 0), "Video_Games.csv": rating(1, 1)}))
    with pytest.raises(ValueError, match="the metadata say of no rated item that it is in a domain"):
        read(write(tmp_path, {"meta_Books.json": meta(77), "meta_Video_Games.json": meta(78)}))


@pytest.mark.parametrize("name", ["Books.csv", "meta_Video_Games.json"])
def test_a_missing_or_truncated_file_is_named(tmp_path, name):
    whole = gzip.compress((write(tmp_path) / name).read_bytes())
    (tmp_path / name).unlink()
    with pytest.raises(
        ValueError, match=rf"{name} is missing: get the ratings, metadata .* \(nijianmo\.github\.io"
    ):
        next(READER.read(tmp_path))
    (tmp_path / f"{name}.gz").write_bytes(whole)
    assert len(read(tmp_path)[0]) == 18
    (tmp_path / f"{name}.gz").write_bytes(whole[:-9])
    with pytest.raises(ValueError, match=rf"{name}\.gz is a broken gzip file"):
        read(tmp_path)


def review(u: int, i: int, time: int = 1_500_000_000, **more) -> str:
    known = {"verified": True, "reviewTime": "09 1, 2016", "reviewText": 'Good, "really"', "vote": "5"}
    keys = {"reviewerID": user(u), "asin": item(i), "overall": 5.0, "unixReviewTime": time}
    return json.dumps({**known, **more, **keys}) + "\n"


def write_reviews(folder: Path, protocol="mamdr-6", files: dict[str, str] | None = None) -> Path:
    random = np.random.default_rng(0)
    there = np.argwhere(random.random((20, 50)) < 0.2)
    lines = "".join(review(u, i, style={"Size:": "L"}) if i % 3 else review(u, i) for u, i in there)
    for file in READER.files(protocol=protocol):
        (folder / file.name).write_text((files or {}).get(file.name, lines))
    return folder


def test_every_rated_pair_is_a_positive_with_negatives_in_the_ratio_of_its_table(tmp_path):
    write_reviews(tmp_path)
    rows, bad = read(tmp_path, protocol="mamdr-6")
    assert not bad and rows.columns == [*READER.columns(protocol="mamdr-6"), "line"]
    assert rows["domain"].unique(maintain_order=True).to_list() == [name.replace("_", " ") for name in SIX]
    lines = [json.loads(line) for line in (tmp_path / "Toys_and_Games_5.json").read_text().splitlines()]
    toys = rows.filter(pl.col("domain") == "Toys and Games")
    positives, negatives = toys.filter(pl.col("label") == 1), toys.filter(pl.col("label") == 0)
    assert list(positives.select("user_id", "item_id", "line").iter_rows()) == [
        (line["reviewerID"], line["asin"], number + 1) for number, line in enumerate(lines)
    ]
    held = positives["user_id"].value_counts().sort("user_id")
    assert negatives["user_id"].value_counts().sort("user_id")["count"].to_list() == [
        min(int(count / 0.47), 50 - count) for count in held["count"]
    ]
    assert not set(pairs(positives)) & set(pairs(negatives)) and set(negatives["line"]) == {0}
    assert rows["split"].value_counts(normalize=True).sort("split")["proportion"].to_list() == pytest.approx(
        [0.2, 0.6, 0.2], abs=0.02
    )


def test_repeated_reviews_make_one_positive_and_the_same_review_is_bad(tmp_path):
    text = review(1, 1) + review(1, 2) + review(1, 1, time=1) + review(1, 1) + review(2, 3)
    text += "{\n" + json.dumps({**json.loads(review(1, 3)), "asin": 12.0}) + "\n"
    write_reviews(tmp_path, files={"Prime_Pantry_5.json": text})
    rows, bad = read(tmp_path, protocol="mamdr-6")
    pantry = rows.filter((pl.col("domain") == "Prime Pantry") & (pl.col("label") == 1))
    assert pairs(pantry) == [(1, 1), (1, 2), (2, 3)] and pantry["line"].to_list() == [1, 2, 5]
    assert [(row.file, row.line, row.reason) for row in bad] == [
        ("Prime_Pantry_5.json", 4, "the row stands further up already"),
        ("Prime_Pantry_5.json", 6, "not JSON"),
        ("Prime_Pantry_5.json", 7, "item_id is no item"),
    ]


def test_the_seed_decides_all_and_block_sizes_nothing(tmp_path, monkeypatch):
    write_reviews(write(tmp_path))
    whole = [read(tmp_path, protocol=protocol)[0] for protocol in ("aread-25", "mamdr-6")]
    assert not whole[1].equals(read(tmp_path, protocol="mamdr-6", seed=1)[0])
    monkeypatch.setattr(reading, "BLOCK_BYTES", 4000)
    parts = [read(tmp_path, protocol=protocol)[0] for protocol in ("aread-25", "mamdr-6")]
    assert all(one.equals(other) for one, other in zip(whole, parts, strict=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"asin": "B000000000", "rating": 5}\n',
            r"line 1: no key 'reviewerID', 'overall', 'unixReviewTime'; th",
        ),
        (rating(0, 0), "has no JSON object in any line: is it another file"),
        ("", "is empty"),
    ],
)
def test_reviews_in_another_form_are_refused(tmp_path, text, message):
    write_reviews(tmp_path, files={"Prime_Pantry_5.json": text})
    with pytest.raises(ValueError, match=rf"Prime_Pantry_5\.json.*{message}"):
        read(tmp_path, protocol="mamdr-6")


def test_what_the_papers_publish_adds_up():
    six = (1_204_340, 3_921_259, 3_025_218, 694_758, 5_382_501, 2_698_800)  # Table 6
    assert READER.published(protocol="mamdr-6") == {"rows": sum(six), "domains": len(RATIOS["mamdr-6"])}
    assert READER.published(protocol="mamdr-13")["rows"] == 11_999_607 + 4_100_756 + 4_339_523  # Table 1
    assert len(CATEGORIES) == 29 and len(READER.files()) == 58 and len(set(amazon.DOMAINS)) == 25
    assert set(RATIOS["mamdr-6"]) < set(RATIOS["mamdr-13"]) < set(CATEGORIES)


def test_an_unknown_protocol_names_the_known_ones():
    with pytest.raises(
        ValueError, match="protocol 'mamdr' of amazon must be one of aread-25, mamdr-6, mamdr-13"
    ):
        READER.columns(protocol="mamdr")


@pytest.mark.parametrize("name", ["amazon-25", "amazon-6", "amazon-13"])
def test_the_configs_fit_the_reader_and_the_curated_schema(name):
    check_config(name)


def test_the_curated_schema_holds_what_the_configs_read_and_no_more():
    logs = [load(name).log for name in ("amazon-25", "amazon-6", "amazon-13")]
    file = Path(load("amazon-25").checks.schema_file)
    schema = text_format.Parse(file.read_text(), schema_pb2.Schema())
    values = {feature.name: list(feature.string_domain.value) for feature in schema.feature}
    assert set(values) == {column for log in logs for column in column_types(log)}
    assert values["category"] == list(amazon.DOMAINS)
    assert values["domain"] == [name.replace("_", " ") for name in RATIOS["mamdr-13"]]


def test_the_configs_ingest_the_raw_files(tmp_path):
    (tmp_path / "25").mkdir()
    summary = ingest("amazon-25", write(tmp_path, {"Books.csv": BOOKS + "x\n"}), tmp_path / "25")
    assert sum(summary.rows.values()) == 18 and min(summary.rows.values()) > 0
    assert summary.bad == {"1 values instead of 4": 1}
    summary = ingest("amazon-6", write_reviews(tmp_path), tmp_path)
    assert summary.rows["train"] > summary.rows["test"] > 100 and not summary.bad
