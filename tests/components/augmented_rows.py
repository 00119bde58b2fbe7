"""Rows to augment, and the augmented rows computed one by one, for tests."""

import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf
from example_artifacts import encode

from components.counterfactual_augmenter.settings import AugmentationSettings
from components.item_popularity.popularity import BATCH, COUNTS
from schema.log_schema import LogSchema

LOG = LogSchema.model_validate(
    {"domain": "channel", "label": {"column": "clicked"}, "item": "item_id", "features": {"item_id": None}}
)


def make_rows(count: int = 600, seed: int = 0) -> list[dict]:
    """Two major domains and three minor ones; a few rows twice, a few without an item."""
    random = np.random.default_rng(seed)
    rows = [
        {
            "item_id": None if random.random() < 0.02 else f"i{random.integers(12)}",
            "channel": str(random.choice(["home", "search", "a", "b", "c"], p=[0.6, 0.33, 0.03, 0.02, 0.02])),
            "label": int(random.random() < 0.35),
            "price": float(random.integers(3)),
        }
        for _ in range(count)
    ]
    return [*rows, *rows[:20]]


def of(item: str | None, domain: str, label: int, count: int) -> list[dict]:
    return [{"item_id": item, "channel": domain, "label": label}] * count


def expected_rows(files: dict[str, list[dict]], chosen: AugmentationSettings, batch=BATCH) -> list[bytes]:
    """The augmented rows, computed row by row from the definition; only the order of the draws is shared."""
    known = [row for rows in files.values() for row in rows if row["item_id"]]
    shown, clicked, sizes = Counter(), Counter(), Counter()
    for row in known:
        shown[row["item_id"]] += 1
        clicked[row["item_id"]] += row["label"]
        sizes[row["channel"]] += 1
    p = {item: (clicked[item] + 1) / (shown[item] + 2) for item in shown}
    minors = {domain for domain in sizes if sizes[domain] < chosen.minor_share * len(known)}
    names = sorted(sizes, key=lambda domain: (-sizes[domain], domain))
    lack = [max(0, len(known) / len(sizes) - sizes[d]) if d in minors else 0 for d in names]
    chance = np.array(lack) / sum(lack)

    def eligible(row):
        item = row["item_id"]
        return item and row["label"] == 1 and p[item] < chosen.rho and row["channel"] not in minors

    weight = sum(1 / p[row["item_id"]] for row in known if eligible(row))
    made = []
    for name, rows in files.items():
        random = np.random.default_rng([chosen.seed, zlib.crc32(name.encode())])
        for first in range(0, len(rows), batch):
            own = [row for row in rows[first : first + batch] if eligible(row)]
            mean = [chosen.r_aug * len(known) / weight / p[row["item_id"]] for row in own]
            copied = [row for row, n in zip(own, random.poisson(mean), strict=True) for _ in range(n)]
            targets = random.choice(len(names), len(copied), p=chance) if copied else []
            for row, target in zip(copied, targets, strict=True):
                provenance = {"mdr_source_domain": row["channel"], "mdr_popularity": p[row["item_id"]]}
                made.append(encode({**row, "channel": names[target], **provenance}))
    return made


def write_files(folder: Path, rows: list[dict], files: int) -> dict[str, list[dict]]:
    """Write rows into some files of one training split; return the rows by file."""
    parts = {f"data-{part:05}.gz": rows[part::files] for part in range(files)}
    folder.mkdir(parents=True)
    for name, own in parts.items():
        with tf.io.TFRecordWriter(str(folder / name), "GZIP") as writer:
            for row in own:
                writer.write(encode(row))
    return parts


def counts_of(rows: list[dict]) -> pa.Table:
    counted = Counter((row["item_id"], row["channel"]) for row in rows if row["item_id"])
    positive = Counter((row["item_id"], row["channel"]) for row in rows if row["item_id"] and row["label"])
    values = [(item, domain, n, positive[item, domain]) for (item, domain), n in counted.items()]
    return pa.Table.from_pylist([dict(zip(COUNTS.names, value, strict=True)) for value in values], COUNTS)


def records(folder: Path) -> list[bytes]:
    files = sorted(map(str, folder.glob("*.gz")))
    return [record for file in files for record in tf.data.TFRecordDataset(file, "GZIP").as_numpy_iterator()]


def plain(record: bytes) -> dict:
    """A serialized row as it was given to `encode`."""
    kinds = {"bytes_list": bytes.decode, "int64_list": int, "float_list": float}
    row = {}
    for name, feature in tf.train.Example.FromString(record).features.feature.items():
        kind = feature.WhichOneof("kind")
        row[name] = kinds[kind](getattr(feature, kind).value[0])
    return row
