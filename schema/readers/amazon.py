"""Amazon reviews of 2018 as published, by the protocols of AREAD (25 domains) and MAMDR (6 and 13 domains).

Ratings-only files and metadata for AREAD, 5-core reviews for MAMDR: only these have about as many ratings as
there are positives in its Tables 6 and 7.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from schema.files.amazon_files import metadata, ratings, reviews
from schema.files.negatives import labelled
from schema.files.raw import RawFile, locate
from schema.files.reading import FileError
from schema.readers import SPLIT
from schema.rows import Block

WHERE = (
    "get the ratings, metadata and 5-core files of each category from the Amazon review data (2018) page"
    " (nijianmo.github.io/amazon)."
)
# All 29 categories of the page; AREAD's 3-core and user means go over all of them.
CATEGORIES = (
    *("All_Beauty", "AMAZON_FASHION", "Appliances", "Arts_Crafts_and_Sewing", "Automotive", "Books"),
    *("CDs_and_Vinyl", "Cell_Phones_and_Accessories", "Clothing_Shoes_and_Jewelry", "Digital_Music"),
    *("Electronics", "Gift_Cards", "Grocery_and_Gourmet_Food", "Home_and_Kitchen"),
    *("Industrial_and_Scientific", "Kindle_Store", "Luxury_Beauty", "Magazine_Subscriptions"),
    *("Movies_and_TV", "Musical_Instruments", "Office_Products", "Patio_Lawn_and_Garden", "Pet_Supplies"),
    *("Prime_Pantry", "Software", "Sports_and_Outdoors", "Tools_and_Home_Improvement", "Toys_and_Games"),
    "Video_Games",
)
# The paper draws the 25 in Figure 1 without their names; these are the ones that its public code lists.
DOMAINS = (
    *(
        "Appliances",
        "Arts, Crafts & Sewing",
        "Automotive",
        "Books",
        "CDs & Vinyl",
        "Cell Phones & Accessories",
    ),
    *("Clothing, Shoes & Jewelry", "Collectibles & Fine Art", "Electronics", "Gift Cards"),
    *("Grocery & Gourmet Food", "Home & Business Services", "Home & Kitchen", "Industrial & Scientific"),
    *("Kindle Store", "Magazine Subscriptions", "Movies & TV", "Musical Instruments", "Office Products"),
    *("Patio, Lawn & Garden", "Pet Supplies", "Sports & Outdoors", "Tools & Home Improvement"),
    *("Toys & Games", "Video Games"),
)
END = 1_534_291_200  # 2018-08-15
DAYS = 183
CORE = 3  # ratings that every user and item has at least
QUANTILES = (0.9, 0.95)
# MAMDR, Tables 6 and 7: positives per negative.
RATIOS = {
    "mamdr-6": {
        "Musical_Instruments": 0.22,
        "Office_Products": 0.23,
        "Patio_Lawn_and_Garden": 0.32,
        "Prime_Pantry": 0.23,
        "Toys_and_Games": 0.47,
        "Video_Games": 0.21,
    },
    "mamdr-13": {
        "Arts_Crafts_and_Sewing": 0.22,
        "Digital_Music": 0.23,
        "Gift_Cards": 0.32,
        "Industrial_and_Scientific": 0.23,
        "Luxury_Beauty": 0.47,
        "Magazine_Subscriptions": 0.21,
        "Musical_Instruments": 0.36,
        "Office_Products": 0.30,
        "Patio_Lawn_and_Garden": 0.46,
        "Prime_Pantry": 0.25,
        "Software": 0.30,
        "Toys_and_Games": 0.30,
        "Video_Games": 0.27,
    },
}
# AREAD, Table 1; MAMDR, Table 1 (its Table 7 adds up to 18,660,463 instead).
PUBLISHED = {
    "aread-25": {"rows": 17_664_862, "positives": 8_790_575, "domains": 25},
    "mamdr-6": {"rows": 16_926_876, "domains": 6},
    "mamdr-13": {"rows": 20_439_886, "domains": 13},
}
REVIEWS = {  # rows of the 5-core files as the page counts them, where that could be looked up
    "Digital_Music": 169_781,
    "Luxury_Beauty": 34_278,
    "Magazine_Subscriptions": 2_375,
    "Software": 12_805,
    "Toys_and_Games": 1_828_971,
    "Video_Games": 497_577,
}


def files(protocol: str = "aread-25", seed: int = 0) -> list[RawFile]:
    """Return the raw files of a protocol.

    Raises:
        ValueError: unknown protocol.
    """
    if protocol not in PUBLISHED:
        raise ValueError(f"protocol {protocol!r} of amazon must be one of {', '.join(PUBLISHED)}.")
    if protocol == "aread-25":
        return [
            RawFile(name) for category in CATEGORIES for name in (f"{category}.csv", f"meta_{category}.json")
        ]
    return [RawFile(f"{category}_5.json", REVIEWS.get(category)) for category in RATIOS[protocol]]


def published(protocol: str = "aread-25", seed: int = 0) -> dict[str, int]:
    """Return the published counts, those of MAMDR with its own draw of negatives."""
    return dict(PUBLISHED[protocol])


def columns(protocol: str = "aread-25", seed: int = 0) -> list[str]:
    """Return the names of the columns that `read` delivers.

    Raises:
        ValueError: unknown protocol.
    """
    files(protocol)
    if protocol == "aread-25":
        return ["user_id", "item_id", "category", "timestamp", "weekday", "brand", "price", "label", SPLIT]
    return ["user_id", "item_id", "domain", "label", SPLIT]


def read(folder: Path, protocol: str = "aread-25", seed: int = 0) -> Iterator[Block]:
    """Yield the rows of a protocol, category file by category file.

    `aread-25` (section 3.1, and its public code where the paper is silent): ratings of the 183 days before
    2018-08-15. The paper names no span, but counts 17.7 million samples where the 5-core of all years alone
    has 75 million. Users and items with fewer than 3 ratings are removed until there are none; a rating above
    the user's mean is positive. The domain `category` is the first of the item's categories; items of none of
    the 25 are left out after that. Training ends before the time of the 0.9 quantile and validation before
    that of 0.95, so that no second is in two splits. A rating that two category files hold counts once. The
    price is that of the day the page was crawled; the sales rank of that day is left out, since it counts
    later sales. All ratings of the span stay in memory: measured 1.7 GB for 6 million.

    `mamdr-6`, `mamdr-13` (appendix A.1): every rated pair of user and item is a positive once, with negatives
    from the category's other items in the ratios of Tables 6 and 7, and 60/20/20 within each user's positives
    and negatives. A negative's line is 0. One category is in memory at a time: about 1 GB for Toys and Games.

    Args:
        folder: holds the protocol's files, gzipped or not.
        protocol: `aread-25`, `mamdr-6` or `mamdr-13`. seed: of the negatives and the split of MAMDR.

    Raises:
        ValueError: unknown protocol; a file is missing or in another form; no row is left.
    """
    paths = [locate(folder, file.name, WHERE) for file in files(protocol)]
    if protocol == "aread-25":
        yield from _read_aread(paths[::2], paths[1::2])
    else:
        yield from _read_mamdr(paths, RATIOS[protocol], seed)


def _read_mamdr(paths: list[Path], ratios: dict[str, float], seed: int) -> Iterator[Block]:
    for index, (path, (category, ratio)) in enumerate(zip(paths, ratios.items(), strict=True)):
        rows, bad = reviews(path)
        positives = rows.select("user_id", "item_id", "line").unique(
            ["user_id", "item_id"], keep="first", maintain_order=True
        )
        rows = labelled(positives, ratio, np.random.default_rng([seed, index]))
        rows = rows.with_columns(domain=pl.lit(category.replace("_", " ")))
        table = rows.select("user_id", "item_id", "domain", "label", SPLIT).to_arrow()
        yield Block(table, rows["line"].fill_null(0).to_numpy(), path.name, bad)


def _read_aread(rating_paths: list[Path], meta_paths: list[Path]) -> Iterator[Block]:
    parts, bad = [], []
    for index, path in enumerate(rating_paths):
        part, faults = ratings(path, END - DAYS * 86_400, END)
        parts.append(part.with_columns(file=pl.lit(index, pl.UInt8)))
        bad.append(faults)
    rows = pl.concat(parts).unique(
        ["item_id", "user_id", "rating", "timestamp"], keep="first", maintain_order=True
    )
    del parts
    rows = rows[_core(*(rows[name].to_physical().to_numpy() for name in ("user_id", "item_id")))]
    if not len(rows):
        raise FileError(
            f"{rating_paths[0].parent}: no users and items have {CORE} ratings in the {DAYS} days."
        )
    stars = pl.col("rating").cast(pl.Int64)
    label = stars * pl.len().over("user_id") > stars.sum().over("user_id")  # above the mean, in whole numbers
    rows = rows.with_columns(label.cast(pl.Int64).alias("label"))
    wanted, found = rows["item_id"].unique().cast(pl.String).sort(), []
    for index, path in enumerate(meta_paths):
        part, faults = metadata(path, wanted)
        found.append(part.filter(pl.col("category").is_in(list(DOMAINS))))
        bad[index] += faults
    items = pl.concat(found).unique("item_id", keep="first").cast({"item_id": pl.Categorical})
    rows = rows.join(items, on="item_id", how="inner", maintain_order="left")
    if not len(rows):
        raise FileError(f"{meta_paths[0].parent}: the metadata say of no rated item that it is in a domain.")
    rows = rows.with_columns(_split(rows["timestamp"]))
    for index, path in enumerate(rating_paths):
        part = rows.filter(pl.col("file") == index).with_columns(
            pl.from_epoch("timestamp").dt.weekday().alias("weekday"),
            pl.col("user_id", "item_id").cast(pl.String),
        )
        yield Block(part.select(columns()).to_arrow(), part["line"].to_numpy(), path.name, bad[index])


def _core(user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Return the rows left when users and items with too few are removed until there are none, `(rows,)`."""
    kept = np.arange(len(user))
    while True:
        enough = np.ones(len(kept), bool)
        for codes in (user[kept], item[kept]):
            enough &= np.bincount(codes)[codes] >= CORE
        if enough.all():
            return kept
        kept = kept[enough]


def _split(time: pl.Series) -> pl.Series:
    """Return the split of each row, cut at quantiles of time."""
    first, second = (time.quantile(share, "lower") for share in QUANTILES)
    names = np.select(
        [(time < first).to_numpy(), (time < second).to_numpy()], ["train", "validation"], "test"
    )
    return pl.Series(SPLIT, names)
