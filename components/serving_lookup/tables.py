"""The newest row of each user and item, and whose property each feature is."""

from collections.abc import Iterable

import polars as pl
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from components.log_example_gen.reading import read_batches
from components.serving_lookup.files import ANY_DOMAIN, CLICKED
from schema.log_schema import LABEL, TIME, LogSchema

MAX_ROWS = 200_000  # the newest users, and the items that were seen last
MAX_CLICKED = 200  # per user
MAX_POPULAR = 500  # items per domain
SAMPLE_ROWS = 10_000  # that tell whose property a feature is
AGREEMENT = 0.9  # share of rows that must agree for a feature to be a user's or an item's
BATCH = 65_536


def read_rows(path: str, log: LogSchema) -> Iterable[pl.DataFrame]:
    """Yield the raw columns of a gzipped TFRecord file of tf.Examples, null where missing."""
    kinds = dict.fromkeys(log.string_columns + log.features_of("sequence"), schema_pb2.BYTES)
    kinds |= dict.fromkeys(log.features_of("numeric"), schema_pb2.FLOAT)
    kinds |= dict.fromkeys([LABEL, *([TIME] if log.time else [])], schema_pb2.INT)
    for _, batch in read_batches(path, kinds, BATCH):
        rows = pl.from_arrow(pa.table(batch))
        columns = []
        for name, kind in kinds.items():
            text = pl.List(pl.String) if kind == schema_pb2.BYTES else None
            column = pl.col(name).cast(text) if text else pl.col(name)
            columns.append(column if name in log.features_of("sequence") else column.list.first())
        yield rows.select(columns)


class Newest:
    """The newest row of each user and item, and each user's last clicks, of rows that come part by part.

    Args:
        log: what each column means. Without a time the rows that come later are newer.

    Attributes:
        log: as given. users, items: their newest rows. sample: the rows that came last.
    """

    def __init__(self, log: LogSchema):
        self.log = log
        self._order = [TIME] if log.time else []
        self.users = self.items = self.sample = self._clicks = None

    def add(self, rows: pl.DataFrame) -> None:
        """Take in some rows (see `read_rows`)."""
        log = self.log
        self.sample = pl.concat([frame for frame in (self.sample, rows) if frame is not None]).tail(
            SAMPLE_ROWS
        )
        clicks = rows.filter(pl.col(LABEL) == 1).select(log.user, log.item, *self._order)
        self.users = self._last([self.users, rows], [log.user]).tail(MAX_ROWS)
        self.items = self._last([self.items, rows], [log.item]).tail(MAX_ROWS)
        clicks = self._last([self._clicks, clicks], [log.user, log.item])
        clicks = clicks.join(self.users, on=log.user, how="semi", maintain_order="left")
        self._clicks = clicks.group_by(log.user, maintain_order=True).tail(MAX_CLICKED)

    def with_clicks(self) -> pl.DataFrame:
        """Return the users with their clicked items as `CLICKED`, a list, empty for none."""
        log = self.log
        lists = self._clicks.group_by(log.user, maintain_order=True).agg(pl.col(log.item).alias(CLICKED))
        return self.users.join(lists, on=log.user, how="left").with_columns(pl.col(CLICKED).fill_null([]))

    def _last(self, frames: list[pl.DataFrame | None], keys: list[str]) -> pl.DataFrame:
        """Return the newest row of each key, newest last; rows without a key are left out."""
        rows = pl.concat([frame for frame in frames if frame is not None])
        rows = rows.drop_nulls(keys)
        rows = rows.sort(self._order, maintain_order=True) if self._order else rows
        return rows.unique(keys, keep="last", maintain_order=True)


def owners(newest: Newest) -> dict[str, str]:
    """Return for each feature whether it is the `user`'s, the `item`'s or the `context`'s.

    A feature is an item's when rows of other users show it as the item's newest row does; a user's when rows
    of other items show it as the user's newest row does. What agrees with neither (an hour) is the context's.
    """
    log, found = newest.log, {}
    of_item = _agreement(newest.sample, newest.items, log.item, log)
    of_user = _agreement(newest.sample, newest.users, log.user, log)
    for name in log.features:
        if name in (log.user, log.item):
            found[name] = "user" if name == log.user else "item"
        elif max(of_item.get(name, 0), of_user.get(name, 0)) < AGREEMENT:
            found[name] = "context"
        else:
            found[name] = "item" if of_item.get(name, 0) >= of_user.get(name, 0) else "user"
    return found


def _agreement(rows: pl.DataFrame, others: pl.DataFrame, key: str, log: LogSchema) -> dict[str, float]:
    """Return by feature the share of rows in which it is as in the other table's row of the same key."""
    pairs = rows.join(others, on=key, suffix="_other")
    other_id = log.user if key == log.item else log.item
    pairs = pairs.filter(pl.col(other_id) != pl.col(f"{other_id}_other"))  # not the same impression
    if pairs.is_empty():
        return {}
    names = [name for name in log.features if name not in (log.user, log.item)]
    return pairs.select(pl.col(name).eq_missing(pl.col(f"{name}_other")).mean() for name in names).row(
        0, named=True
    )


def popular(counts: pl.DataFrame) -> pl.DataFrame:
    """Return the most clicked items of each domain, and of all together under `ANY_DOMAIN`: domain and item.

    Args:
        counts: impressions and positives per item and domain (components/item_popularity).
    """
    total = counts.group_by("item").agg(pl.col("impressions", "positives").sum())
    counts = pl.concat(
        [
            counts.select("domain", "item", "impressions", "positives"),
            total.select(pl.lit(ANY_DOMAIN).alias("domain"), "item", "impressions", "positives"),
        ]
    )
    by = ["positives", "impressions", "item"]
    ordered = counts.sort(by, descending=[True, True, False])
    return ordered.group_by("domain", maintain_order=True).head(MAX_POPULAR).select("domain", "item")
