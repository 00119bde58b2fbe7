"""`mdr bench components`: what the pass that labels rows costs beside the classifier itself."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from components.log_example_gen.records import WholeFile, compress, frame
from components.pseudo_labeler import label
from components.pseudo_labeler.label import Batch, ClassifierHandler, LabelRows, read_dominant
from models import domain_classifier
from models.features import FeatureSpec, InputField
from pipeline.bench.machine import machine
from pipeline.config import BeamSettings
from schema.log_schema import LABEL

DOMINANT, CLASSES = (0,), (1, 2, 3, 4, 5)
FIELDS = 10
SPEC = FeatureSpec(
    fields=tuple(InputField(name=f"field_{i}", kind="categorical", size=10_000) for i in range(FIELDS)),
    domain="domain",
    domains=tuple(f"domain_{i}" for i in range(6)),
)
KINDS = {
    "direct": "the classifier called on column batches",
    "run_inference": "the same batches through RunInference, its start and the loading included",
    "whole_pass": "the whole pass: read, decode, infer, encode, write",
}
_held: list[Batch] = []  # what `held` yields: Beam copies what a pipeline is made of, not what a module holds


def run(rows: int, passes: int, repeat: int, done: Callable[[str], None]) -> dict:
    """Measure the three of `KINDS` in turn, some times over.

    Args:
        rows: of a dominant domain, random ones.
        passes: how often a turn's classifier goes over them, which makes a log too large for the memory.
        repeat: number of turns. done: told of each measurement.

    Returns:
        `rows`, `passes`, `fields`, `batch` (rows), by kind the median rows per second, `ratio` and `ratios`:
        of RunInference to the direct calls of the same turn, their median and all of them; `start_seconds`:
        the median time by which a pipeline of one pass takes longer than the direct calls.
    """
    rates, starts = {kind: [] for kind in KINDS}, []
    with tempfile.TemporaryDirectory() as place:
        examples, classifier = Path(place) / "examples.gz", Path(place) / "classifier"
        _write(examples, rows)
        domain_classifier.save(domain_classifier.untrained(SPEC), classifier, {}, SPEC.fingerprint)
        _held[:] = read_dominant(str(examples), SPEC, DOMINANT)
        handler = ClassifierHandler(str(classifier), SPEC)
        model = handler.load_model()
        for batch in _held:
            handler.run_inference(batch, model)  # traced, and the memory in use, before the clock starts
        kinds = {
            "direct": (passes, lambda: [model(batch.inputs).numpy() for batch in held(passes)]),
            "run_inference": (passes, lambda: _infer(handler, passes)),
            "whole_pass": (1, lambda: _label(examples, classifier, Path(place) / "labeled")),
        }
        for turn in range(repeat):
            for kind, (times, work) in kinds.items():
                rates[kind].append(rows * times / _seconds(work))
                done(f"{turn + 1} of {repeat}, {kind}: {rates[kind][-1]:,.0f} rows/s")
            starts.append(_seconds(lambda: _infer(handler, 1)) - rows / rates["direct"][-1])
        _held.clear()
    ratios = [ours / direct for ours, direct in zip(rates["run_inference"], rates["direct"], strict=True)]
    return {
        "rows": rows,
        "passes": passes,
        "fields": FIELDS,
        "batch": label.BATCH,
        **{kind: round(statistics.median(values)) for kind, values in rates.items()},
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "start_seconds": round(statistics.median(starts), 2),
    }


def markdown(figures: dict, command: str) -> str:
    """Return the figures of `run` as a section of a Markdown page."""
    lines = [
        "## Pseudo-labels: the Beam pass beside the classifier itself",
        "",
        f"{figures['rows']:,} rows with {figures['fields']} fields, in batches of {figures['batch']:,}, gone"
        f" over {figures['passes']} times in the first two lines; medians of {len(figures['ratios'])} turns.",
        "",
        "| what | rows/s |",
        "|---|---|",
        *(f"| {text} | {figures[kind]:,} |" for kind, text in KINDS.items()),
        "",
        f"RunInference reaches {figures['ratio']:.0%} of the direct calls of the same turn"
        f" (from {min(figures['ratios']):.0%} to {max(figures['ratios']):.0%}). To start a pipeline and load"
        f" the classifier takes {figures['start_seconds']:.1f} s, whatever the rows.",
    ]
    return "\n".join([*lines, "", f"`{command}`", "", f"Machine: {machine()}."])


def held(passes: int) -> Iterator[Batch]:
    """Yield the batches that this process holds, over and over."""
    for _ in range(passes):
        yield from _held


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _write(file: Path, rows: int) -> None:
    random = np.random.default_rng(0)
    with WholeFile(file) as out:
        for first in range(0, rows, label.BATCH):
            count = min(label.BATCH, rows - first)
            columns = {field.name: random.integers(0, field.size, count) for field in SPEC.fields}
            columns |= {LABEL: random.integers(0, 2, count), SPEC.domain: np.zeros(count, int)}
            offsets = np.arange(count + 1)
            lists = {k: pa.LargeListArray.from_arrays(offsets, values) for k, values in columns.items()}
            encoded = RecordBatchToExamplesEncoder().encode(pa.RecordBatch.from_pydict(lists))
            out.write(compress(frame(encoded)), count)


def _infer(handler: ClassifierHandler, passes: int) -> None:
    with _pipeline() as pipeline:
        results = pipeline | beam.Create([passes]) | beam.FlatMap(held) | RunInference(handler)
        _ = results | beam.Map(lambda result: len(result.inference)) | beam.CombineGlobally(sum)


def _label(examples: Path, classifier: Path, folder: Path) -> None:
    with _pipeline() as pipeline:
        paths = pipeline | beam.Create([str(examples)])
        _ = paths | LabelRows(str(classifier), SPEC, DOMINANT, CLASSES, str(folder))


def _pipeline() -> beam.Pipeline:
    return beam.Pipeline(options=PipelineOptions(BeamSettings().pipeline_args))
