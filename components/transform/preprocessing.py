"""From raw columns to the numbers a model reads: vocabularies, quantile buckets, z-scores, the domain index.

The stock Transform traces `preprocessing_fn` once and saves the graph; training and serving run that graph.
Statistics (vocabularies, quantiles, moments) come from the splits that Transform analyses: `train` only.

Every vocabulary's file has the name of its column, so that `TFTransformOutput.vocabulary_by_name(column)` and
`vocabulary_size_by_name(column)` find it.
"""

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.analyzers import sanitized_vocab_filename

from schema.log_schema import LABEL, Categorical, LogSchema, Numeric, Sequence


def preprocessing_fn(inputs: dict, custom_config: dict) -> dict[str, tf.Tensor]:
    """Turn a batch of raw columns into model inputs.

    Args:
        inputs: by column name, `SparseTensor`s `(batch, values)` of strings or floats, and the dense `label`
            `(batch,)`.
        custom_config: `log` holds the `LogSchema` as JSON.

    Returns:
        By column name, all of length batch: `label` int64; the domain int64, an index into the domains of the
        training split ordered by frequency, their number for any other domain; a categorical feature int64,
        vocabulary first, then its OOV buckets (missing values too are hashed into those); a sequence int64
        `(batch, max_length)` of such indices shifted by one, 0 being padding; a numeric feature float32 (a
        missing value is 0, with `z_score` the mean), or with `buckets` int64 in `[0, buckets]`, where
        `buckets` says missing.
    """
    log = LogSchema.model_validate_json(custom_config["log"])
    check_vocabulary_names(log)
    domain = Categorical(group="domain")
    outputs = {
        LABEL: tf.reshape(inputs[LABEL], [-1]),
        log.domain: _categorical(inputs[log.domain], log.domain, domain),
    }
    for name, feature in log.features.items():
        match feature:
            case Sequence():  # before Categorical, of which it is a kind
                outputs[name] = _sequence(inputs[name], name, feature)
            case Categorical():
                outputs[name] = _categorical(inputs[name], name, feature)
            case Numeric(scale="buckets"):
                outputs[name] = _buckets(inputs[name], name, feature)
            case Numeric():
                outputs[name] = _number(inputs[name], feature)
    return outputs


def check_vocabulary_names(log: LogSchema) -> None:
    """Refuse column names that TensorFlow Transform would write to the same vocabulary file.

    Raises:
        ValueError: names the two columns.
    """
    columns: dict[str, str] = {}
    for name in [log.domain, *log.features_of("categorical"), *log.features_of("sequence")]:
        file = sanitized_vocab_filename(name)
        other = columns.setdefault(file, name)
        if other != name:
            raise ValueError(
                f"columns {other!r} and {name!r} would share the vocabulary {file!r}; rename one."
            )


def _categorical(column: tf.SparseTensor, name: str, feature: Categorical) -> tf.Tensor:
    # TFT keeps the empty string out of every vocabulary, so a missing value ends in an OOV bucket.
    return _index(_first_value(column, ""), name, feature)


def _sequence(column: tf.SparseTensor, name: str, feature: Sequence) -> tf.Tensor:
    rows = column.dense_shape[0]
    kept = tf.sparse.slice(column, [0, 0], [rows, feature.max_length])
    index = _index(kept, name, feature)
    padded = tf.SparseTensor(index.indices, index.values + 1, [rows, feature.max_length])
    return tf.ensure_shape(tf.sparse.to_dense(padded), [None, feature.max_length])


def _index(values, name: str, feature: Categorical):
    return tft.compute_and_apply_vocabulary(
        values,
        top_k=feature.max_size,
        frequency_threshold=feature.min_count if feature.min_count > 1 else None,
        num_oov_buckets=feature.oov_buckets,
        vocab_filename=name,
    )


def _number(column: tf.SparseTensor, feature: Numeric) -> tf.Tensor:
    column = _finite(column)
    return _first_value(tft.scale_to_z_score(column) if feature.scale == "z_score" else column, 0.0)


def _buckets(column: tf.SparseTensor, name: str, feature: Numeric) -> tf.Tensor:
    return _first_value(tft.bucketize(_finite(column), feature.buckets), feature.buckets)


def _finite(column: tf.SparseTensor) -> tf.SparseTensor:
    """Drop NaN and infinite values: one of them would spoil the moments, and at serving the answer."""
    return tf.sparse.retain(column, tf.math.is_finite(column.values))


def _first_value(column: tf.SparseTensor, missing) -> tf.Tensor:
    """Return the first value of each row, `(batch,)`; a batch without any value has a width of 0."""
    shape = [column.dense_shape[0], tf.maximum(column.dense_shape[1], 1)]
    return tf.sparse.to_dense(tf.SparseTensor(column.indices, column.values, shape), missing)[:, 0]
