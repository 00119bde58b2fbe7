"""Ingest as a Beam transform: every file becomes gzipped TFRecords per split, and dead letters."""

import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow.compute as pc

from components.log_example_gen.checks import Checked
from components.log_example_gen.records import WholeFile, compress, encode, frame
from components.log_example_gen.settings import SPLITS, DataSettings, SplitSettings
from components.log_example_gen.sources import file_format, file_name, list_files
from components.log_example_gen.splits import assign, time_cuts
from schema import progress
from schema.files.reading import FileError, read_blocks
from schema.log_schema import TIME, LogSchema
from schema.readers import find_reader
from schema.rows import BadRow, Block
from schema.suggest import nearest

DEAD_LETTERS = "dead_letters"
THREADS = os.cpu_count() or 1  # parsing, encoding and compression leave Python's lock for most of their time


@dataclass(frozen=True)
class Source:
    """One piece of the input, read by one worker.

    Attributes:
        index: its number, which names what is written from it.
        path: a file, or the folder of a public set. name: what messages and dead letters call it.
        kind: `csv`, `jsonl`, `parquet` or `reader`.
        options: of the reader.
    """

    index: int
    path: str
    name: str
    kind: str
    options: tuple[tuple[str, object], ...] = ()

    def blocks(self) -> Iterator[Callable[[], Block]]:
        """Yield the rows, block by block, each as a function that parses it."""
        if self.kind == "reader":
            options = dict(self.options)
            name = options.pop("name")
            return (
                (lambda block=block: block) for block in find_reader(name).read(Path(self.path), **options)
            )
        return read_blocks(Path(self.path), self.kind, self.name)


@dataclass(frozen=True)
class Summary:
    """What became of the rows of some sources.

    Attributes:
        rows: good rows by split. bad: bad rows by reason. examples: one bad row for each reason.
    """

    rows: dict[str, int]
    bad: dict[str, int]
    examples: dict[str, BadRow]

    def to_json(self) -> str:
        """Return the summary as one line of text."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Summary":
        """Return what `to_json` wrote."""
        values = json.loads(text)
        examples = {reason: BadRow(**row) for reason, row in values["examples"].items()}
        return Summary(values["rows"], values["bad"], examples)

    @staticmethod
    def add(summaries: Iterable["Summary"]) -> "Summary":
        """Return the sum of summaries."""
        rows, bad, examples = Counter(dict.fromkeys(SPLITS, 0)), Counter(), {}
        for summary in summaries:
            rows.update(summary.rows)
            bad.update(summary.bad)
            examples = {**summary.examples, **examples}
        return Summary(dict(rows), dict(bad), examples)


def sources(data: DataSettings) -> list[Source]:
    """Return the pieces that workers read, one per file."""
    files = list_files(data)
    if data.reader is not None:
        return [Source(0, data.path, data.reader["name"], "reader", tuple(data.reader.items()))]
    return [
        Source(i, str(file), file_name(file, data), file_format(file, data)) for i, file in enumerate(files)
    ]


@beam.ptransform_fn
@beam.typehints.with_input_types(Source)
@beam.typehints.with_output_types(Summary)
def IngestLogs(pieces, folder: str, log: LogSchema, split: SplitSettings):
    """Write `Split-*/data-*.gz` and `dead_letters/*.jsonl` below a folder.

    Args:
        pieces: PCollection of `Source`.
        folder: the Examples artifact's folder.
        log: what each column means. split: how to split.

    Returns:
        PCollection of one `Summary`.
    """
    now = time.time()
    latest = (
        pieces
        | "LatestTimes" >> beam.Map(latest_time, log, now if split.by == "time" else None)
        | "LatestTime" >> beam.CombineGlobally(lambda times: max(times, default=0))
    )
    return (
        pieces
        | "Spread" >> beam.Reshuffle()
        | "Write" >> beam.Map(ingest, folder, log, split, now, beam.pvalue.AsSingleton(latest))
        | "Sum" >> beam.CombineGlobally(Summary.add)
    )


def latest_time(source: Source, log: LogSchema, now: float | None) -> int:
    """Return the time of a source's latest good row; 0 where no time is needed (`now` is None)."""
    if now is None:
        return 0
    bare = log.model_copy(update={"features": {}})

    def latest(parse: Callable[[], Block]) -> int:
        block = parse()
        check_columns(block, log, source)
        checked = Checked(block, bare, now)
        return pc.max(checked.columns[TIME].filter(checked.good)).as_py() or 0

    return max(in_order(latest, source.blocks()), default=0)


def ingest(
    source: Source, folder: str, log: LogSchema, split: SplitSettings, now: float, latest: int
) -> Summary:
    """Write one source's rows and return what became of them.

    Raises:
        FileError: the source as a whole cannot be used; none of its files is left half-written.
    """
    cuts = time_cuts(latest, split) if split.by == "time" else None

    def convert(parse: Callable[[], Block]):
        block = parse()
        check_columns(block, log, source, split.column)
        checked = Checked(block, log, now, split.column)
        columns = checked.columns
        given = checked.splits.filter(checked.good) if split.column else None
        if not checked.good.all():
            columns = {name: column.filter(checked.good) for name, column in columns.items()}
        which = assign(columns, block.lines[checked.good], block.file, log, split, cuts, given)
        members = {}
        for index, name in enumerate(SPLITS):
            rows = np.flatnonzero(which == index)
            if len(rows):
                part = columns if len(rows) == len(which) else _take(columns, rows)
                members[name] = (compress(frame(encode(part))), len(rows))
        return members, checked.bad_rows() if block.bad or not checked.good.all() else []

    bad, examples = Counter(), {}
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(
                WholeFile(Path(folder) / f"Split-{name}" / f"data-{source.index:05}.gz")
            )
            for name in SPLITS
        }
        letters = stack.enter_context(WholeFile(Path(folder) / DEAD_LETTERS / f"{source.index:05}.jsonl"))
        for members, bad_rows in in_order(convert, source.blocks()):
            for name, (member, rows) in members.items():
                files[name].write(member, rows)
            for row in bad_rows:
                bad[row.reason] += 1
                examples.setdefault(row.reason, row)
                letters.write(f"{json.dumps(asdict(row), ensure_ascii=False)}\n".encode(), 1)
            progress.report("LogExampleGen", rows=sum(file.rows for file in files.values()))
    return Summary({name: file.rows for name, file in files.items()}, dict(bad), examples)


def check_columns(block: Block, log: LogSchema, source: Source, split_column: str | None = None) -> None:
    """Refuse a block that lacks a column of the log.

    Raises:
        FileError: names the columns and the nearest ones that are there.
    """
    there = block.table.column_names
    needed = [*log.columns, split_column] if split_column else log.columns
    missing = [name for name in needed if name not in there]
    if missing and (source.kind != "jsonl" or 1 in block.lines[:1]):
        named = "; ".join(f"no column {name!r}.{nearest(name, there)}" for name in missing)
        raise FileError(f"{source.path}: {named} It has: {', '.join(there)}.")


def in_order(work: Callable, tasks: Iterator) -> Iterator:
    """Yield `work(task)` of every task in order, a few of them at work at a time."""
    with ThreadPoolExecutor(THREADS) as pool:
        pending = deque()
        for task in tasks:
            pending.append(pool.submit(work, task))
            if len(pending) > THREADS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _take(columns: dict, rows: np.ndarray) -> dict:
    return {name: column.take(rows) for name, column in columns.items()}
