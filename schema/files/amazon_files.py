"""The files of the Amazon reviews of 2018 as published: ratings, 5-core reviews, metadata of the items."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from schema.files.raw import AGAIN, Seen, Sieve, csv_blocks, row_keys
from schema.files.reading import FileError, read_blocks
from schema.rows import BadRow, Block

RATING = ("item_id", "user_id", "rating", "timestamp")  # in the order of the ratings-only files
REVIEW = ("asin", "reviewerID", "overall", "unixReviewTime")  # the same in the files with the reviews' text
META = ("asin", "category", "brand", "price")
ITEM = r"^[0-9A-Z]{10}$"
USER = r"^A[0-9A-Z]{9,20}$"
SURELY_ITEM = r"^(B[0-9A-Z]{9}|\d{9}[\dX])$"  # which no user looks like
PRICE = r"^\$([\d,]+(?:\.\d+)?)(?: - \$([\d,]+(?:\.\d+)?))?$"
STARS = ["1", "2", "3", "4", "5"]


def ratings(path: Path, first: int, end: int) -> tuple[pl.DataFrame, list[BadRow]]:
    """Return a category's ratings within a span of time, and the bad rows.

    Args:
        path: a ratings-only CSV file.
        first, end: seconds since 1970; rows before `first` or from `end` on are left out.

    Returns:
        `item_id` and `user_id` as categories (4 bytes each), `rating`, `timestamp` and `line`; bad rows.

    Raises:
        FileError: the file is broken, or one of 2014, in which the user comes first.
    """
    parts, bad, seen = [], [], Seen()
    for block in csv_blocks(path, RATING, header=False):
        swapped = _matches(block.table, "item_id", USER) & _matches(block.table, "user_id", SURELY_ITEM)
        if swapped.any():
            raise FileError(
                f"{path}, line {block.lines[swapped.argmax()]}: the user comes before the item, as in the"
                " files of 2014; those of 2018 hold item,user,rating,timestamp."
            )
        time = pl.Series(block.table["timestamp"]).str.strip_chars().cast(pl.Int64, strict=False)
        wanted = time.is_between(first, end, closed="left").fill_null(True).to_numpy()
        block = Block(block.table.filter(wanted), block.lines[wanted], block.file, block.bad)
        part, faults = _checked(block, seen)
        parts.append(part.cast({"item_id": pl.Categorical, "user_id": pl.Categorical}))
        bad.extend(faults)
    return pl.concat(parts), bad


def reviews(path: Path) -> tuple[pl.DataFrame, list[BadRow]]:
    """Return the ratings of a category's reviews, a JSON object a line, and the bad rows.

    Returns:
        `item_id`, `user_id`, `rating`, `timestamp` and `line`; bad rows.

    Raises:
        FileError: the file is broken, or its objects lack a key.
    """
    parts, bad, seen = [], [], Seen()
    for parse in read_blocks(path, "jsonl", path.name):
        block = parse()
        if not block.table.num_rows:
            bad.extend(block.bad)
            continue
        _need(block, path, REVIEW)
        table = block.table.select(REVIEW).rename_columns(RATING)
        part, faults = _checked(Block(table, block.lines, block.file, block.bad), seen)
        parts.append(part)
        bad.extend(faults)
    if not parts:
        raise FileError(f"{path} has no JSON object in any line: is it another file?")
    return pl.concat(parts), bad


def metadata(path: Path, wanted: pl.Series) -> tuple[pl.DataFrame, list[BadRow]]:
    """Return what a category's metadata say about some items, and the bad rows.

    Args:
        path: a JSON object a line. wanted: sorted item ids.

    Returns:
        `item_id`, `category` (the first of its list), `brand` and `price` (in dollars, of a range the
        middle), null where they say nothing usable; an item that stands twice is there twice.

    Raises:
        FileError: the file is broken, or its objects lack a key.
    """
    parts, bad = [], []
    for parse in read_blocks(path, "jsonl", path.name):
        block = parse()
        if not block.table.num_rows:
            bad.extend(block.bad)
            continue
        _need(block, path, ("asin", "category"))
        table = block.table.select([name for name in META if name in block.table.column_names])
        sieve = Sieve(Block(table, block.lines, block.file, block.bad))
        item = sieve.text("asin")
        sieve.fail(~item.str.contains(ITEM).fill_null(False).to_numpy(), "asin is no item")
        frame = pl.DataFrame({"item_id": item, **{name: _text(table, name) for name in META[1:]}})
        place = wanted.search_sorted(item.fill_null("")).clip(0, len(wanted) - 1)
        kept = sieve.kept([pl.Series("wanted", wanted.gather(place) == item), *frame.get_columns()])
        parts.append(pl.from_arrow(kept.table).filter("wanted").drop("wanted"))
        bad.extend(kept.bad)
    if not parts:
        raise FileError(f"{path} has no JSON object in any line: is it another file?")
    low, high = (
        pl.col("price").str.extract(PRICE, group).str.replace_all(",", "").cast(pl.Float64)
        for group in (1, 2)
    )
    return pl.concat(parts).with_columns(
        pl.col("category").str.replace_all("&amp;", "&", literal=True),
        price=(low + high.fill_null(low)) / 2,
    ), bad


def _need(block: Block, path: Path, keys: tuple[str, ...]) -> None:
    lacking = [key for key in keys if key not in block.table.column_names]
    if lacking:
        there = ", ".join(block.table.column_names)
        raise FileError(
            f"{path}, line {block.lines[0]}: no key {', '.join(map(repr, lacking))}; there are: {there}."
            " Is it another version of the file?"
        )


def _text(table: pa.Table, name: str) -> pl.Series:
    """Return the text of a key, of a list its first; null where there is none or it is another thing."""
    if name not in table.column_names:
        return pl.Series(name, [None] * table.num_rows, pl.String)
    values = pl.Series(name, table[name])
    if isinstance(values.dtype, pl.List):
        values = values.list.first()
    if values.dtype != pl.String:
        return pl.Series(name, [None] * table.num_rows, pl.String)
    return values.str.strip_chars().replace("", None)


def _checked(block: Block, seen: Seen) -> tuple[pl.DataFrame, list[BadRow]]:
    """Return the good rows of a block of ratings, and its bad ones."""
    sieve = Sieve(block)
    item, user, rating = (sieve.text(name) for name in RATING[:3])
    sieve.fail(~_matches(block.table, "item_id", ITEM), "item_id is no item")
    sieve.fail(~_matches(block.table, "user_id", USER), "user_id is no user")
    rating = rating.str.strip_suffix(".0")
    sieve.fail(~rating.is_in(STARS).fill_null(False).to_numpy(), "rating is none of 1 to 5")
    time = pl.Series("timestamp", sieve.integers("timestamp"))
    sieve.fail(seen.again(row_keys(block.table)), AGAIN)
    kept = sieve.kept([item, user, rating, time, pl.Series("line", block.lines)])
    return pl.from_arrow(kept.table).cast({"rating": pl.Int8}), kept.bad


def _matches(table: pa.Table, name: str, pattern: str) -> np.ndarray:
    text = pl.Series(name, table[name].cast(pa.string())).str.strip_chars()
    return text.str.contains(pattern).fill_null(False).to_numpy()
