"""Counts of impressions and positives, as a Beam transform over columns instead of single rows."""

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from components.log_example_gen.handing import write_table
from components.log_example_gen.reading import read_batches
from schema.log_schema import LABEL, LogSchema

ITEMS, ITEMS_BY_DOMAIN = "items.parquet", "items_by_domain.parquet"
COUNTS = pa.schema(
    [("item", pa.string()), ("domain", pa.string()), ("impressions", pa.int64()), ("positives", pa.int64())]
)
BATCH = 65_536


def smoothed_rate(positives, impressions) -> pa.Array:
    """Return (positives + 1) / (impressions + 2): the mean of the rate's posterior under a uniform prior."""
    return pc.divide(
        pc.cast(pc.add(positives, 1), pa.float64()), pc.cast(pc.add(impressions, 2), pa.float64())
    )


class CountItems(beam.PTransform):
    """Count impressions and positives per item and domain.

    Takes paths of gzipped TFRecord files of tf.Examples; gives one table with the columns `COUNTS`. Rows
    without an item are left out.
    """

    def __init__(self, log: LogSchema):
        super().__init__()
        self._log = log

    def expand(self, paths):
        """Sum up within each file, then over the files."""
        return (
            paths
            | "Reshuffle" >> beam.Reshuffle()
            | "CountFile" >> beam.Map(count_file, self._log).with_output_types(pa.Table)
            | "Sum" >> beam.CombineGlobally(SumCounts())
        )


class SumCounts(beam.CombineFn):
    """Adds up tables of counts."""

    def create_accumulator(self) -> pa.Table:
        """Return a table without rows."""
        return COUNTS.empty_table()

    def add_input(self, accumulator: pa.Table, counts: pa.Table) -> pa.Table:
        """Add a table to the sum."""
        return add_up([accumulator, counts])

    def merge_accumulators(self, accumulators: list[pa.Table]) -> pa.Table:
        """Add sums."""
        return add_up(list(accumulators))

    def extract_output(self, accumulator: pa.Table) -> pa.Table:
        """Return the sum."""
        return accumulator


def add_up(tables: list[pa.Table], keys: tuple[str, ...] = ("item", "domain")) -> pa.Table:
    """Return the sums of the counts per key."""
    sums = [("impressions", "sum"), ("positives", "sum")]
    grouped = pa.concat_tables(tables).group_by(list(keys)).aggregate(sums)
    return grouped.rename_columns([*keys, "impressions", "positives"])


def count_file(path: str, log: LogSchema) -> pa.Table:
    """Count the rows of one file of tf.Examples."""
    return add_up([COUNTS.empty_table(), *(_count_batch(rows) for _, rows in read_rows(path, log))])


def read_rows(path: str, log: LogSchema) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """Yield the rows of a file that have an item, a domain and a label, a batch at a time in their order.

    Args:
        path: a gzipped TFRecord file of tf.Examples. log: what each column means.

    Yields:
        The serialized rows, `(rows,)` of bytes, and the columns `item`, `domain` and `positives` (the label).
    """
    names = {"item": log.item, "domain": log.domain, "positives": LABEL}
    kinds = {name: schema_pb2.INT if name == LABEL else schema_pb2.BYTES for name in names.values()}
    for records, batch in read_batches(path, kinds, BATCH):
        lists = {key: batch.column(name) for key, name in names.items()}
        lengths = [pc.fill_null(pc.list_value_length(column), 0) for column in lists.values()]
        whole = pc.greater(pc.min_element_wise(*lengths), 0)
        rows = pa.table({key: pc.list_element(column.filter(whole), 0) for key, column in lists.items()})
        yield records[whole.to_numpy(zero_copy_only=False)], rows


def _count_batch(rows: pa.Table) -> pa.Table:
    ones = pa.repeat(pa.scalar(1, pa.int64()), rows.num_rows)
    columns = [
        pc.cast(rows["item"], pa.string()),
        pc.cast(rows["domain"], pa.string()),
        ones,
        rows["positives"],
    ]
    return add_up([pa.Table.from_arrays(columns, schema=COUNTS)])


def write_popularity(counts: pa.Table, folder: str) -> None:
    """Write `items.parquet` and `items_by_domain.parquet`, sorted by item and domain.

    Args:
        counts: per item and domain, with the columns `COUNTS`.
        folder: where to; each file is complete when it appears there.
    """
    for file, keys in ((ITEMS_BY_DOMAIN, ("item", "domain")), (ITEMS, ("item",))):
        table = add_up([counts], keys).sort_by([(key, "ascending") for key in keys])
        table = table.append_column("rate", smoothed_rate(table["positives"], table["impressions"]))
        write_table(table, folder, file)
