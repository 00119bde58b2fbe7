"""Ali-CCP exactly as Alibaba publishes it: samples, and the features that they have in common."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from schema.files.entries import Entries
from schema.files.frequent_domains import Selection, select
from schema.files.lookup import Lookup, RunningIds, again_among, gather
from schema.files.raw import AGAIN, RawFile, Seen, Sieve, csv_blocks, locate
from schema.readers import SPLIT
from schema.rows import Block

WHERE = (
    "get sample_train and sample_test of Ali-CCP (four files) from Tianchi (tianchi.aliyun.com/dataset/408)."
)
FILES = (
    RawFile("sample_skeleton_train.csv", rows=42_300_135),
    RawFile("common_features_train.csv"),
    RawFile("sample_skeleton_test.csv", rows=43_016_840),
    RawFile("common_features_test.csv"),
)
NUMBERS = ("sample_id", "click", "purchase")
COMMON = ("common_feature_id", "feature_count", "features")
SAMPLE = (*NUMBERS, *COMMON)
# Fields of the files by the names of the columns: one id, a list of ids, the sum of the entries' values.
USER_ONE = {"user_id": "101"} | {f"f{field}": str(field) for field in (121, 122, *range(124, 130))}
USER_LISTS = {f"f{field}": field for field in ("109_14", "110_14", "127_14", "150_14")}
USER_SUMS = {f"d{field}": field for field in USER_LISTS.values()}
ITEM_ONE = {"item_id": "205", "category": "206", "shop": "207", "brand": "216"} | {
    f"f{field}": str(field) for field in (508, 509, 702)
}
ITEM_LISTS = {"intention": "210", "f853": "853"}
ITEM_SUMS = {f"d{field}": field for field in ("508", "509", "702", "853")}
POSITION, SCENARIOS = "301", 3
SCENARIO, CATEGORY30 = "scenario", "category30"
HISTORY = 20  # ids of a list that are kept, so that the common features of all users fit into memory


def files(domain: str = "scenario") -> list[RawFile]:
    """Return the raw files, the same for every domain."""
    return list(FILES)


def published(domain: str = "scenario") -> dict[str, int]:
    """Return published counts: of all rows of both files; for `category` those of AREAD's Table 1."""
    if domain == "category":
        return {"rows": 4_454_814, "positives": 329_416, "domains": 30}
    return {"rows": 85_316_519, "positives": 3_317_703, "domains": SCENARIOS}


def columns(domain: str = "scenario") -> list[str]:
    """Return the names of the columns that `read` delivers.

    Raises:
        ValueError: unknown domain.
    """
    if domain not in ("scenario", "category"):
        raise ValueError(f"domain {domain!r} of ali-ccp must be one of scenario, category.")
    features = [*USER_ONE, *USER_LISTS, *USER_SUMS, *ITEM_ONE, *ITEM_LISTS, *ITEM_SUMS]
    return [*NUMBERS, SCENARIO, *([CATEGORY30] if domain == "category" else []), *features, SPLIT]


def read(folder: Path, domain: str = "scenario") -> Iterator[Block]:
    """Yield the samples in their order, the training file first, joined with their common features.

    As public loaders do, rows with click 0 and purchase 1 are left out without being bad rows. The training
    file is the training split; of the test file, lines of odd number are validation and of even number test
    (public loaders draw the halves at random). The three values of field 301 are called 1, 2 and 3 in the
    order in which the training file first shows them, which is how public loaders number them. A field that
    should stand once and stands again keeps its last entry; of a list the first 20 ids are kept, and the
    columns d109_14 to d853 are the sums of all its entries' values. The feature_count is not used.

    Args:
        folder: holds the four files.
        domain: `scenario`: field 301, all rows; `category`: AREAD's 30 categories (field 206) of the rows of
            frequent users and items, see `select`, chosen over both files and called 1 to 30 from the largest
            down in the column category30; the samples are then read twice. The paper's own counts come from
            files in which it had pooled rare ids, so they may differ from what this gives.

    Raises:
        ValueError: a file is missing or in another form.
    """
    names = columns(domain)
    selection = select(map(_triples, _parts(folder))) if domain == "category" else None
    deliver = partial(_block, scenarios=[], selection=selection, names=names)
    # Not a loop: its variable would hold the common features of one file while those of the next are read.
    yield from map(deliver, _parts(folder))


@dataclass(frozen=True)
class _Part:
    """Some samples of one file.

    Attributes:
        train: whether that is the training file.
        sieve: the rows. numbers: their sample_id, click and purchase. entries: their own features.
        users: the common features of the file. place: of those of each row, null where there are none.
    """

    train: bool
    sieve: Sieve
    numbers: dict[str, np.ndarray]
    entries: Entries
    users: Lookup
    place: pl.Series

    @property
    def used(self) -> np.ndarray:
        """Rows that are neither bad nor left out by the protocol, `(rows,)`."""
        return self.sieve.good & ~((self.numbers["click"] == 0) & (self.numbers["purchase"] == 1))

    @property
    def splits(self) -> pl.Series:
        """Name of each row's split, `(rows,)`."""
        odd = pl.Series(self.sieve.block.lines % 2 == 1)
        names = {True: "train", False: "train"} if self.train else {True: "validation", False: "test"}
        return odd.replace_strict(names, return_dtype=pl.String)

    @property
    def triples(self) -> np.ndarray:
        """User, item and category of each row, int32 `(rows, 3)`; -1 where one is missing."""
        user = self.users.frame["user_id"].gather(self.place)
        each = (user, self.entries.single(ITEM_ONE["item_id"]), self.entries.single(ITEM_ONE["category"]))
        return np.column_stack([ids.fill_null(-1).to_numpy() for ids in each])


def _parts(folder: Path) -> Iterator[_Part]:
    """Yield the samples of both files, block by block; the common features of one pair of files at a time."""
    skeleton, common, test_skeleton, test_common = (locate(folder, file.name, WHERE) for file in FILES)
    yield from _parts_of(skeleton, common, train=True)
    yield from _parts_of(test_skeleton, test_common, train=False)


def _parts_of(skeleton: Path, common: Path, train: bool) -> Iterator[_Part]:
    users, bad = gather(common, _users(common), "key")
    ids = RunningIds()
    for block in csv_blocks(skeleton, SAMPLE, header=False):
        sieve = Sieve(replace(block, bad=[*bad, *block.bad]))
        bad = []
        numbers = {name: sieve.integers(name) for name in NUMBERS}
        for name in NUMBERS[1:]:
            sieve.fail((numbers[name] < 0) | (numbers[name] > 1), f"{name} is neither 0 nor 1")
        entries = _entries(sieve)
        place = users.places(_keys(sieve))
        sieve.fail(place.is_null().to_numpy(), "common features are in no file")
        sieve.fail(entries.single(POSITION).is_null().to_numpy(), f"no field {POSITION} (scenario)")
        sieve.fail(again_among(ids, numbers["sample_id"], sieve.good), AGAIN)
        yield _Part(train, sieve, numbers, entries, users, place)


def _users(path: Path) -> Iterator[Block]:
    """Yield the common features of a file as compact columns; `key` is the hash of their id."""
    seen = Seen()
    for block in csv_blocks(path, COMMON, header=False):
        sieve = Sieve(block)
        entries, keys = _entries(sieve), _keys(sieve)
        sieve.fail(again_among(seen, keys, sieve.good), AGAIN)
        yield sieve.kept([pl.Series("key", keys), *_columns(entries, USER_ONE, USER_LISTS, USER_SUMS)])


def _block(part: _Part, scenarios: list[int], selection: Selection | None, names: list[str]) -> Block:
    """Return a part's columns `names`; `scenarios` holds the values of field 301 that came so far."""
    scenario = _numbered(part.entries.single(POSITION).fill_null(-1).to_numpy(), part.used, scenarios)
    part.sieve.fail(part.used & (scenario == 0), f"field {POSITION} has more than {SCENARIOS} values")
    found = part.numbers | {SCENARIO: scenario, SPLIT: part.splits}
    used = part.used
    if selection is not None:
        found[CATEGORY30] = selection.numbers(part.triples)
        used &= found[CATEGORY30] > 0
    own = _columns(part.entries, ITEM_ONE, ITEM_LISTS, ITEM_SUMS)
    found |= part.users.rows(part.place).to_dict() | {series.name: series for series in own}
    left = used[part.sieve.good]
    block = part.sieve.kept({name: found[name] for name in names})
    return replace(block, table=block.table.filter(pa.array(left)), lines=block.lines[left])


def _triples(part: _Part) -> np.ndarray:
    """Return user, item and category of the rows that are used and have all three, int32 `(rows, 3)`."""
    return part.triples[part.used & (part.triples >= 0).all(axis=1)]


def _numbered(values: np.ndarray, used: np.ndarray, known: list[int]) -> np.ndarray:
    """Return each value's place among the known ones, from 1; new ones of used rows become known, up to 3."""
    new, first = np.unique(values[used], return_index=True)
    new = [value for value in new[np.argsort(first)].tolist() if value not in known]
    known += new[: SCENARIOS - len(known)]
    numbers = np.zeros(len(values), np.int32)
    for number, value in enumerate(known, start=1):
        numbers[values == value] = number
    return numbers


def _entries(sieve: Sieve) -> Entries:
    column = sieve.block.table.column("features").combine_chunks()
    entries = Entries(column)
    sieve.fail(~entries.good, "features are no entries of field, id and value")
    return entries


def _columns(
    entries: Entries, one: dict[str, str], lists: dict[str, str], sums: dict[str, str]
) -> list[pl.Series]:
    return [
        *(entries.single(field).alias(name) for name, field in one.items()),
        *(entries.several(field, HISTORY).alias(name) for name, field in lists.items()),
        *(entries.total(field).alias(name) for name, field in sums.items()),
    ]


def _keys(sieve: Sieve) -> np.ndarray:
    """Return a 64-bit hash of each common_feature_id, uint64 `(rows,)`."""
    text = sieve.text("common_feature_id")
    sieve.fail((text == "").to_numpy(), "no common_feature_id")
    return text.hash(seed=0).to_numpy()
