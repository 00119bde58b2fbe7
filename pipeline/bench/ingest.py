"""`mdr bench ingest`: LogExampleGen against TFX's CsvExampleGen, on the same file, side by side."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import numpy as np
import polars as pl
from apache_beam.options.pipeline_options import PipelineOptions
from tfx.components.example_gen.csv_example_gen.executor import Executor as CsvExampleGenExecutor
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts, standard_component_specs
from tfx.utils import proto_utils

from components.log_example_gen.component import check
from components.log_example_gen.settings import DataSettings, SplitSettings
from components.log_example_gen.transform import IngestLogs, sources
from schema.log_schema import LogSchema

BEAM_ARGS = ["--runner=FnApiRunner"]
FIRST_SECOND = 1_767_225_600  # 2026-01-01
DAYS = 14
LOG = LogSchema.model_validate(
    {
        "domain": "channel",
        "label": {"column": "click"},
        "time": {"column": "time"},
        "user": "user_id",
        "item": "item_id",
        "features": {"user_id": {}, "item_id": {}, "device": {}, "price": {"kind": "numeric"}},
    }
)


def run(rows: int, repeat: int) -> dict:
    """Measure both on a generated CSV of 7 columns.

    Args:
        rows: rows of the file. repeat: how often each is run, one after the other in turn.

    Returns:
        `rows_per_s` and `stock_rows_per_s` (medians), their `ratio`, the `seconds` and `stock_seconds` of
        each run, `rows`.
    """
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "logs" / "log.csv"
        file.parent.mkdir()
        write_log(file, rows)
        ours, stock = [], []
        for i in range(repeat):
            ours.append(_seconds(lambda i=i: ingest(file, Path(place) / f"ours-{i}", rows)))
            stock.append(_seconds(lambda i=i: stock_ingest(file.parent, Path(place) / f"stock-{i}")))
    seconds, stock_seconds = statistics.median(ours), statistics.median(stock)
    return {
        "rows_per_s": rows / seconds,
        "stock_rows_per_s": rows / stock_seconds,
        "ratio": stock_seconds / seconds,
        "seconds": ours,
        "stock_seconds": stock,
        "rows": rows,
    }


def write_log(file: Path, rows: int) -> None:
    """Write a CSV of 7 columns: ids, domain, device, price, time and click."""
    rng = np.random.default_rng(0)
    pl.DataFrame(
        {
            "user_id": rng.integers(0, 50_000, rows),
            "item_id": rng.integers(0, 20_000, rows),
            "channel": rng.integers(0, 25, rows),
            "device": rng.integers(0, 4, rows),
            "price": rng.uniform(1, 100, rows).round(2),
            "time": FIRST_SECOND + np.sort(rng.integers(0, DAYS * 86_400, rows)),
            "click": rng.integers(0, 2, rows),
        }
    ).write_csv(file)


def ingest(file: Path, out: Path, rows: int) -> None:
    """Run our ingest: every check, the default split by time, and all rows accounted for."""
    data, split = DataSettings(path=str(file)), SplitSettings()

    def accounted(summary):
        check(summary, data, split)
        if sum(summary.rows.values()) != rows:
            raise AssertionError(f"{summary.rows} are not {rows} rows.")

    with beam.Pipeline(options=PipelineOptions(BEAM_ARGS)) as pipeline:
        (
            pipeline
            | beam.Create(sources(data))
            | IngestLogs(str(out), LOG, split)
            | "Check" >> beam.Map(accounted)
        )


def stock_ingest(folder: Path, out: Path) -> None:
    """Run TFX's CsvExampleGen executor with two splits, its default."""
    examples = standard_artifacts.Examples()
    examples.uri = str(out)
    split = example_gen_pb2.SplitConfig.Split
    output = example_gen_pb2.Output(
        split_config=example_gen_pb2.SplitConfig(
            splits=[split(name="train", hash_buckets=2), split(name="eval", hash_buckets=1)]
        )
    )
    source = example_gen_pb2.Input(splits=[example_gen_pb2.Input.Split(name="all", pattern="*")])
    executor = CsvExampleGenExecutor(
        BaseBeamExecutor.Context(beam_pipeline_args=BEAM_ARGS, tmp_dir=str(out), unique_id="bench")
    )
    executor.Do(
        {},
        {standard_component_specs.EXAMPLES_KEY: [examples]},
        {
            standard_component_specs.INPUT_BASE_KEY: str(folder),
            standard_component_specs.INPUT_CONFIG_KEY: proto_utils.proto_to_json(source),
            standard_component_specs.OUTPUT_CONFIG_KEY: proto_utils.proto_to_json(output),
            standard_component_specs.OUTPUT_DATA_FORMAT_KEY: example_gen_pb2.FORMAT_TF_EXAMPLE,
        },
    )


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return round(time.perf_counter() - started, 3)
