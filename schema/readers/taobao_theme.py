"""Taobao's Cloud Theme clicks as published, with MAMDR's negatives: Taobao-10, -20 and -30.

The protocol is MAMDR's (section 5.1, appendix A.1, Tables 1 and 8). The two embedding files say who takes
part; their 128 numbers are no features here, since a log has no vectors: ids and an item's categories are.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from schema.files.negatives import labelled
from schema.files.raw import AGAIN, RawFile, Seen, Sieve, csv_blocks, locate, row_keys
from schema.files.reading import FileError
from schema.readers import SPLIT
from schema.rows import BadRow, Block

WHERE = (
    "get the Cloud Theme Click Dataset from Tianchi (tianchi.aliyun.com, data set 9716) and unpack it there."
)
CLICKS, ITEMS, USERS = "theme_click_log.csv", "item_embedding.csv", "user_embedding.csv"
IDS = ("user_id", "theme_id", "item_id")
CATEGORIES = ("leaf_cate_id", "cate_level1_id")
CLICK = (*IDS, *CATEGORIES, "clk_cnt", "reach_time")
ROWS = {10: 173_284, 20: 446_683, 30: 725_426}  # MAMDR, Table 1: training, validation and test together
# MAMDR, Table 8: positives per negative of D1 to D30.
RATIOS = (
    *(0.22, 0.23, 0.32, 0.23, 0.47, 0.21, 0.36, 0.30, 0.46, 0.25),
    *(0.30, 0.30, 0.27, 0.20, 0.33, 0.23, 0.38, 0.22, 0.29, 0.33),
    *(0.47, 0.23, 0.24, 0.44, 0.21, 0.47, 0.37, 0.28, 0.45, 0.43),
)
NUMBERS, SEPARATORS = 128, (" ", ",", ";", "|", "\t")  # of an embedding


def files(themes: int = 10, seed: int = 0) -> list[RawFile]:
    """Return the raw files: `theme_item_pool.csv` is not needed, and purchases are not either."""
    return [RawFile(name) for name in (CLICKS, ITEMS, USERS)]


def published(themes: int = 10, seed: int = 0) -> dict[str, int]:
    """Return the published counts: those of MAMDR's Table 1, with its own draw of negatives."""
    return {"rows": ROWS[themes], "domains": themes}


def columns(themes: int = 10, seed: int = 0) -> list[str]:
    """Return the names of the columns that `read` delivers.

    Raises:
        ValueError: another number of themes.
    """
    if themes not in ROWS:
        raise ValueError(f"themes {themes!r} of taobao-theme must be one of {', '.join(map(str, ROWS))}.")
    return ["user_id", "item_id", "domain", "theme_id", *CATEGORIES, "label", SPLIT]


def read(folder: Path, themes: int = 10, seed: int = 0) -> Iterator[Block]:
    """Yield the rows theme by theme: clicks, then the negatives drawn for them, whose line is 0.

    MAMDR's table has no ids of themes. Here D1, D2, ... are the themes in the order in which the click log
    first names them, without those that lose all their clicks because users or items lack an embedding. A
    click is a positive once for each user, item and theme. Negatives come from the items that the theme's
    users clicked in it, as many as Table 8's ratios say; 60/20/20 is split within each user's positives and
    negatives of a theme. An item has the categories of its first click.

    Args:
        folder: holds the three files.
        themes: 10, 20 or 30. seed: of negatives and split; D1 is the same with 10, 20 and 30 themes.

    Raises:
        ValueError: another number of themes; a file is missing or in another form; too few themes.
    """
    columns(themes)
    clicks, items, users = (locate(folder, file.name, WHERE) for file in files())
    items, bad_items = _embedded(items, "item_id")
    users, bad_users = _embedded(users, "user_id")
    rows, bad = _clicks(clicks)
    bad += bad_items + bad_users
    numbers = rows["theme_id"].unique(maintain_order=True)
    kept = rows.filter(pl.col("user_id").is_in(users.implode()) & pl.col("item_id").is_in(items.implode()))
    numbers = numbers.filter(numbers.is_in(kept["theme_id"].implode()))[:themes]
    if len(numbers) < themes:
        raise FileError(
            f"{clicks} has clicks by users and on items that have embeddings in {len(numbers)} themes;"
            f" {themes} are needed. Do the embedding files belong to it?"
        )
    categories = rows.unique("item_id", keep="first").select("item_id", *CATEGORIES)
    for index, theme in enumerate(numbers):
        positives = kept.filter(pl.col("theme_id") == theme).unique(
            ["user_id", "item_id"], keep="first", maintain_order=True
        )
        random = np.random.default_rng([seed, index])
        found = labelled(positives.select("user_id", "item_id", "line"), RATIOS[index], random)
        found = found.join(categories, on="item_id", how="left", maintain_order="left").with_columns(
            domain=pl.lit(f"D{index + 1}"), theme_id=pl.lit(theme)
        )
        lines = found["line"].fill_null(0).to_numpy()
        yield Block(found.select(columns(themes)).to_arrow(), lines, clicks.name, bad if index == 0 else [])


def _clicks(path: Path) -> tuple[pl.DataFrame, list[BadRow]]:
    """Return the clicks in their order with the column `line`, and the bad rows."""
    parts, bad, seen = [], [], Seen()
    for block in csv_blocks(path, CLICK, header=True):
        sieve = Sieve(block)
        ids = [pl.Series(name, sieve.integers(name)) for name in IDS]
        sieve.fail(seen.again(row_keys(block.table)), AGAIN)
        kept = sieve.kept([*ids, *map(sieve.text, CATEGORIES), pl.Series("line", block.lines)])
        parts.append(pl.from_arrow(kept.table))
        bad.extend(kept.bad)
    return pl.concat(parts), bad


def _embedded(path: Path, key: str) -> tuple[pl.Series, list[BadRow]]:
    """Return the ids that have an embedding, and the bad rows.

    Raises:
        FileError: no row has 128 numbers, whichever separator stands between them.
    """
    parts, bad = [], []
    for block in csv_blocks(path, (key, "emb"), header=True):
        sieve = Sieve(block)
        ids = pl.Series(key, sieve.integers(key))
        text = sieve.text("emb")
        whole = [text.str.count_matches(mark, literal=True) == NUMBERS - 1 for mark in SEPARATORS]
        sieve.fail(~np.logical_or.reduce(whole), f"emb is not {NUMBERS} numbers")
        kept = sieve.kept([ids])
        parts.append(pl.from_arrow(kept.table)[key])
        bad.extend(kept.bad)
    ids = pl.concat(parts)
    if not len(ids):
        marks = ", ".join(map(repr, SEPARATORS))
        raise FileError(
            f"{path} has no row with {NUMBERS} numbers between any of {marks}: is it another file?"
        )
    return ids, bad
