"""Copies rows into other domains, as a Beam transform that draws for each file by itself."""

import os
import zlib
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from components.counterfactual_augmenter.plan import Plan
from components.item_popularity.popularity import read_rows
from components.log_example_gen.records import WholeFile, compress, frame
from schema.log_schema import LogSchema

SOURCE_DOMAIN, POPULARITY = "mdr_source_domain", "mdr_popularity"  # where an augmented row comes from
MOVES = pa.schema(
    [("source", pa.string()), ("target", pa.string()), ("rows", pa.int64()), ("originals", pa.int64())]
)


class AugmentRows(beam.PTransform):
    """Write augmented rows, and give one table of how many went from where to where.

    A positive on an unpopular item in a major domain is taken to be a positive in a minor domain, too (AREAD,
    Corollary 1, Eq. 5). Each such row draws the number of its copies (Poisson), and each copy its domain, so
    that one pass suffices and no worker knows of another; the number of rows is the plan's target in
    expectation, not exactly. A file's draws hang on the seed, its name and the order of its rows alone: they
    are the same on any number of workers, and two equal rows draw each for itself; the same rows in other
    files draw anew.

    Takes paths of gzipped TFRecord files of tf.Examples; gives one table with the columns `MOVES`. Of the
    rows that were copied, `originals` counts each where its first copy went, so that they add up.

    Args:
        plan: PCollection of one `Plan`.
        folder: receives a file for each one that yields rows.
        log: what each column means. seed: of what is drawn.
    """

    def __init__(self, plan, folder: str, log: LogSchema, seed: int):
        super().__init__()
        self._plan = plan
        self._arguments = (folder, log, seed)

    def expand(self, paths):
        """Augment each file, then sum up the moves."""
        plan = beam.pvalue.AsSingleton(self._plan)
        return (
            paths
            | "Reshuffle" >> beam.Reshuffle()
            | "AugmentFile" >> beam.Map(augment_file, *self._arguments, plan).with_output_types(pa.Table)
            | "Sum" >> beam.CombineGlobally(add_moves)
        )


def augment_file(path: str, folder: str, log: LogSchema, seed: int, plan: Plan) -> pa.Table:
    """Write the augmented rows of one file under its own name and return their moves."""
    name = os.path.basename(path)
    random = np.random.default_rng([seed, zlib.crc32(name.encode())])
    domains = plan.domains["domain"].to_pylist()
    moves = [MOVES.empty_table()]
    with WholeFile(Path(folder) / name) as file:
        for records, rows in read_rows(path, log):
            popularity = popularity_of(rows, plan)
            row, target = draw(popularity, plan, random)
            targets = [domains[number] for number in target]
            examples = [
                in_domain(record, domain, float(p), log)
                for record, domain, p in zip(records[row], targets, popularity[row], strict=True)
            ]
            if examples:
                file.write(compress(frame(examples)), len(examples))
            sources = pc.cast(rows["domain"].take(row), pa.string())
            first = np.diff(row, prepend=-1) > 0  # a row's copies are side by side
            moves.append(
                pa.table([sources, targets, np.ones(len(row), int), first.astype(int)], schema=MOVES)
            )
    return add_moves(moves)


def popularity_of(rows: pa.Table, plan: Plan) -> np.ndarray:
    """Return the p(i) of the rows that may be drawn, NaN for all others, `(rows,)`."""
    item, domain = (pc.cast(rows[name], pa.string()) for name in ("item", "domain"))
    place = pc.index_in(item, plan.unpopular["item"].combine_chunks())
    may_be_drawn = pc.and_(
        pc.equal(rows["positives"], 1), pc.is_in(domain, plan.majors.combine_chunks())
    ).to_numpy()
    popularity = plan.unpopular["popularity"].take(place).to_numpy()
    return np.where(may_be_drawn, popularity, np.nan)


def draw(popularity: np.ndarray, plan: Plan, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the copies of some rows and where they go.

    Args:
        popularity: see `popularity_of`. plan: how many copies, to which domains. random: of the draw.

    Returns:
        For each copy the number of its row and that of its new domain, `(copies,)` both.
    """
    may_be_drawn = np.flatnonzero(np.isfinite(popularity))
    copies = random.poisson(plan.copies / popularity[may_be_drawn])
    row = np.repeat(may_be_drawn, copies)
    if not len(row):
        return row, row
    return row, random.choice(plan.domains.num_rows, len(row), p=plan.domains["drawn"].to_numpy())


def in_domain(record: bytes, domain: str, popularity: float, log: LogSchema) -> bytes:
    """Return a serialized row as one of another domain that says where it comes from; all else is kept."""
    example = tf.train.Example.FromString(record)
    feature = example.features.feature
    feature[SOURCE_DOMAIN].bytes_list.value[:] = feature[log.domain].bytes_list.value
    feature[POPULARITY].float_list.value[:] = [popularity]
    feature[log.domain].bytes_list.value[:] = [domain.encode()]
    return example.SerializeToString(deterministic=True)


def add_moves(moves) -> pa.Table:
    """Return the sum of tables of moves, sorted by source and target."""
    rows = pa.concat_tables([MOVES.empty_table(), *moves]).group_by(["source", "target"])
    total = rows.aggregate([("rows", "sum"), ("originals", "sum")]).rename_columns(MOVES.names)
    return total.sort_by([("source", "ascending"), ("target", "ascending")])
