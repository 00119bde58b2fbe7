"""Gives rows their pseudo-domains in column batches, as a Beam transform around `RunInference`."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
from apache_beam.ml.inference.base import ModelHandler, PredictionResult, RunInference
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from components.log_example_gen.reading import read_batches
from components.log_example_gen.records import WholeFile, compress, frame
from components.pseudo_labeler.settings import CONFIDENCE_BINS
from models.domain_classifier import load
from models.features import FeatureSpec
from models.pseudo import CONFIDENCE, PROBABILITIES, SOURCE_DOMAIN
from schema.log_schema import LABEL

BATCH = 32_768  # rows decoded at once
LABELS = pa.schema(
    [
        *((name, pa.int64()) for name in ("source", "target", "bin", "rows")),
        ("confidence", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Batch:
    """Rows of dominant domains, as columns.

    Attributes:
        rows: one list of values per row in each column. spec: their inputs.
        name: of the file that these rows of one batch go to.
    """

    rows: pa.RecordBatch
    spec: FeatureSpec
    name: str

    def __len__(self) -> int:
        return self.rows.num_rows

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """The model inputs by name, as `models.feeding` gives them."""
        arrays = {}
        for field in self.spec.fields:
            values = self.rows.column(field.name).flatten().to_numpy()
            values = values.astype("float32" if field.kind == "numeric" else "int32", copy=False)
            arrays[field.name] = values.reshape(-1, field.length) if field.length else values
        return arrays

    @property
    def domain(self) -> np.ndarray:
        """The rows' own domains, int64 `(rows,)`."""
        return self.rows.column(self.spec.domain).flatten().to_numpy()


class ClassifierHandler(ModelHandler[Batch, PredictionResult, Any]):
    """Runs a saved domain classifier on column batches; each worker loads it once.

    Args:
        folder: of the classifier. spec: the inputs of the rows.
    """

    def __init__(self, folder: str, spec: FeatureSpec):
        super().__init__()
        self._folder = folder
        self._spec = spec

    def load_model(self):
        """Return the compiled function from inputs to p."""
        classifier = load(Path(self._folder), self._spec)
        shapes = {
            field.name: tf.TensorSpec(
                [None, field.length] if field.length else [None],
                tf.float32 if field.kind == "numeric" else tf.int32,
            )
            for field in self._spec.fields
        }
        return tf.function(classifier.probabilities, input_signature=[shapes])

    def should_skip_batching(self) -> bool:
        """Return True: the rows come in batches."""
        return True

    def run_inference(self, batch: Batch, model, inference_args=None) -> list[PredictionResult]:
        """Return one result: the batch and its p, `(rows, classes)`."""
        return [PredictionResult(batch, model(batch.inputs).numpy())]

    def get_num_bytes(self, batch: Batch) -> int:
        """Return the size of a batch without writing it out, as Beam would for its metric."""
        return batch.rows.nbytes


class LabelRows(beam.PTransform):
    """Write the rows of the dominant domains with pseudo-domains, and give one table of how many went where.

    p = C(x), the confidence is max p and the pseudo-domain its argmax (SSCTL, Eq. 3). A batch is written
    under the name of its file and its number there, so that any number of workers writes the same files.

    Takes paths of gzipped TFRecord files of transformed tf.Examples; gives one table with the columns
    `LABELS`.

    Args:
        classifier: folder of the classifier. spec: the rows' inputs.
        dominant, classes: domain indices, as the classifier has them.
        folder: receives the files.
    """

    def __init__(
        self, classifier: str, spec: FeatureSpec, dominant: Sequence[int], classes: Sequence[int], folder: str
    ):
        super().__init__()
        self._read = (spec, tuple(dominant))
        self._handler = ClassifierHandler(classifier, spec)
        self._write = (tuple(classes), folder)

    def expand(self, paths):
        """Read, infer and write batch by batch, then sum up."""
        return (
            paths
            | "Reshuffle" >> beam.Reshuffle()
            | "Read" >> beam.FlatMap(read_dominant, *self._read)
            | "Infer" >> RunInference(self._handler)
            | "Write" >> beam.Map(write_batch, *self._write).with_output_types(pa.Table)
            | "Sum" >> beam.CombineGlobally(add_labels)
        )


def read_dominant(path: str, spec: FeatureSpec, dominant: tuple[int, ...]) -> Iterator[Batch]:
    """Yield the rows of the dominant domains of a file, in their order, a batch at a time."""
    kinds = dict.fromkeys((LABEL, spec.domain, *(field.name for field in spec.fields)), schema_pb2.INT)
    kinds |= {field.name: schema_pb2.FLOAT for field in spec.fields if field.kind == "numeric"}
    stem = os.path.basename(path).removesuffix(".gz")
    for number, (_, rows) in enumerate(read_batches(path, kinds, BATCH)):
        of_dominant = np.isin(rows.column(spec.domain).flatten().to_numpy(), dominant)
        if of_dominant.any():
            yield Batch(rows.filter(pa.array(of_dominant)), spec, f"{stem}-{number:05}.gz")


def write_batch(result: PredictionResult, classes: tuple[int, ...], folder: str) -> pa.Table:
    """Write the labelled rows of one batch and return how many went where."""
    batch, p = result.example, result.inference
    with WholeFile(Path(folder) / batch.name) as file:
        file.write(compress(frame(labelled(batch, p, classes))), len(batch))
    return count(batch.domain, p, classes)


def labelled(batch: Batch, p: np.ndarray, classes: tuple[int, ...]) -> list[bytes]:
    """Return the rows of a batch as tf.Examples: in their pseudo-domains, with p and where they come from."""
    columns = dict(zip(batch.rows.schema.names, batch.rows.columns, strict=True))
    columns[SOURCE_DOMAIN] = columns[batch.spec.domain]
    columns[batch.spec.domain] = _lists(np.array(classes)[p.argmax(axis=1)])
    columns[PROBABILITIES], columns[CONFIDENCE] = _lists(p), _lists(p.max(axis=1))
    return RecordBatchToExamplesEncoder().encode(pa.RecordBatch.from_pydict(columns))


def _lists(values: np.ndarray) -> pa.LargeListArray:
    """Return an array `(rows,)` or `(rows, n)` with one list per row."""
    offsets = np.arange(len(values) + 1) * (values.shape[1] if values.ndim > 1 else 1)
    return pa.LargeListArray.from_arrays(offsets, values.ravel())


def count(source: np.ndarray, p: np.ndarray, classes: tuple[int, ...]) -> pa.Table:
    """Return the rows by source and pseudo-domain and by confidence, with the sum of the latter."""
    confidence = p.max(axis=1)
    columns = [
        source,
        np.array(classes)[p.argmax(axis=1)],
        np.minimum((confidence * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1),
        np.ones(len(p), int),
        confidence.astype(float),
    ]
    return add_labels([pa.table(columns, schema=LABELS)])


def add_labels(tables) -> pa.Table:
    """Return the sum of tables with the columns `LABELS`, sorted."""
    keys = ["source", "target", "bin"]
    rows = pa.concat_tables([LABELS.empty_table(), *tables]).group_by(keys)
    total = rows.aggregate([("rows", "sum"), ("confidence", "sum")]).rename_columns(LABELS.names)
    return total.sort_by([(key, "ascending") for key in keys])
