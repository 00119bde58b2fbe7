"""ADC, the display ads of Taobao, exactly as Alibaba publishes them: impressions, ads, users' profiles."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from schema.files.lookup import again_among, gather
from schema.files.raw import AGAIN, WHOLE, RawFile, Seen, Sieve, csv_blocks, locate, row_keys
from schema.files.reading import csv_header, open_text
from schema.rows import Block

FILES = (
    RawFile("raw_sample.csv", rows=26_557_961),
    RawFile("ad_feature.csv", rows=846_811),
    RawFile("user_profile.csv", rows=1_061_768),
)
WHERE = (
    "get raw_sample, ad_feature and user_profile from Tianchi (tianchi.aliyun.com/dataset/56) as CSV files."
)
SAMPLE = ("user", "time_stamp", "adgroup_id", "pid", "nonclk", "clk")
AD = ("adgroup_id", "cate_id", "campaign_id", "customer", "brand", "price")
PROFILE = (
    "userid",
    "cms_segid",
    "cms_group_id",
    "final_gender_code",
    "age_level",
    "pvalue_level",
    "shopping_level",
    "occupation",
    "new_user_class_level",
)
NUMBER = r"^-?\d+(\.\d+)?$"


def files() -> list[RawFile]:
    """Return the raw files."""
    return list(FILES)


def published() -> dict[str, int]:
    """Return the published counts."""
    return {"rows": 26_557_961, "positives": 1_366_056, "domains": 2}


def columns() -> list[str]:
    """Return the names of the columns that `read` delivers."""
    return [*SAMPLE, *AD[1:], *PROFILE[1:]]


def read(folder: Path) -> Iterator[Block]:
    """Yield the impressions in their order, joined with their ad and, if there is one, their user's profile.

    An empty value and the text NULL are null. An impression whose ad is in no file is a bad row; one whose
    user has no profile (about 6% of the users) keeps nulls.

    Args:
        folder: holds the three files.

    Raises:
        ValueError: a file is missing or in another form.
    """
    samples, ad_file, user_file = (locate(folder, file.name, WHERE) for file in FILES)
    ads, bad_ads = gather(ad_file, _rows(ad_file, AD, decimals=("price",)), AD[0])
    users, bad_users = gather(user_file, _rows(user_file, PROFILE), PROFILE[0])
    bad, seen = bad_ads + bad_users, Seen()
    for block in csv_blocks(samples, SAMPLE, header=True):
        sieve = Sieve(replace(block, bad=[*bad, *block.bad]))
        bad = []
        numbers = {name: sieve.integers(name) for name in SAMPLE if name != "pid"}
        sieve.fail((numbers["clk"] < 0) | (numbers["clk"] > 1), "clk is neither 0 nor 1")
        sieve.fail(numbers["nonclk"] != 1 - numbers["clk"], "nonclk is not 1 - clk")
        ad, user = ads.places(numbers["adgroup_id"]), users.places(numbers["user"])
        sieve.fail(ad.is_null().to_numpy(), "ad is in no file")
        sieve.fail(again_among(seen, row_keys(block.table.select(SAMPLE)), sieve.good), AGAIN)
        found = numbers | {"pid": sieve.text("pid")}
        found |= ads.rows(ad).to_dict() | users.rows(user).to_dict()
        yield sieve.kept({name: found[name] for name in columns()})


def _rows(path: Path, names: tuple[str, ...], decimals: tuple[str, ...] = ()) -> Iterator[Block]:
    """Yield the rows of a file of which the first column holds each value once.

    Args:
        path: of the file. names: of its columns, whole numbers. decimals: those that may have a fraction.
    """
    # The last name of user_profile.csv ends in a space, and not everyone who passed the file on kept that.
    with open_text(path) as stream:
        spelt = {name.strip(): name for name in csv_header(stream.readline(), path)}
    seen = Seen()
    for block in csv_blocks(path, [spelt.get(name, name) for name in names], header=True):
        table = block.table.rename_columns([name.strip() for name in block.table.column_names])
        sieve = Sieve(replace(block, table=table))
        keys = sieve.integers(names[0])
        values = [_values(sieve, name, pl.Float64 if name in decimals else pl.Int64) for name in names[1:]]
        sieve.fail(again_among(seen, keys, sieve.good), AGAIN)
        yield sieve.kept([pl.Series(names[0], keys), *values])


def _values(sieve: Sieve, name: str, kind: type[pl.DataType]) -> pl.Series:
    """Return a column as numbers, null where it is empty or NULL."""
    text = sieve.text(name)
    text = text.set(text.is_in(["", "NULL"]), None)
    pattern, fault = (NUMBER, "number") if kind == pl.Float64 else (WHOLE, "whole number")
    right = text.str.contains(pattern).fill_null(True)
    sieve.fail((~right).to_numpy(), f"{name} is no {fault}")
    return text.set(~right, None).cast(kind)
