"""Reads gzipped files of tf.Examples as columns."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder


def read_batches(
    path: str, kinds: Mapping[str, int], rows: int
) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
    """Yield the rows of a file in their order, a batch at a time.

    Args:
        path: a gzipped TFRecord file. kinds: the columns and their `schema_pb2.FeatureType`.
        rows: of a batch at most.

    Yields:
        The serialized rows, `(rows,)` of bytes, and in each column a list of values per row, null for none.
    """
    schema = schema_pb2.Schema()
    for name, kind in kinds.items():
        schema.feature.add(name=name, type=kind)
    decoder = ExamplesToRecordBatchDecoder(schema.SerializeToString())
    for records in tf.data.TFRecordDataset(path, "GZIP").batch(rows).prefetch(1).as_numpy_iterator():
        yield records, decoder.DecodeBatch(records.tolist())
