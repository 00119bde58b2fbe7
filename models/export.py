"""The SavedModel that TF Serving loads: the transform graph and the model in one."""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_serving.apis import (
    classification_pb2,
    input_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
    regression_pb2,
)

from models.architectures.base import MultiDomainModel
from models.served import DESCRIPTION, describe_weights
from schema.log_schema import WHOLE_FLOAT, LogSchema

WARM_UP = "assets.extra/tf_serving_warmup_requests"
PROBABILITY = "probability"
WARM_UP_ROWS = (1, 32, 512)
CLASSES = ("0", "1")  # no click, click
# TF Serving looks for these very names in the signatures of Classify and Regress.
INPUTS, CLASS_NAMES, CLASS_SCORES, REGRESSIONS = "inputs", "classes", "scores", "outputs"


class Servable:
    """A trained model behind the transform graph, with raw columns or serialized tf.Examples as input.

    Args:
        model: the trained model.
        transform: output of the Transform component.
        log: the log's schema.
    """

    def __init__(self, model: MultiDomainModel, transform: tft.TFTransformOutput, log: LogSchema):
        self.model = model
        self.transform_layer = transform.transform_features_layer()
        self.log = log
        inputs = {log.domain, *log.features}
        # The label and columns that only other stages read are neither needed nor accepted at serving.
        self._raw_spec = {name: spec for name, spec in transform.raw_feature_spec().items() if name in inputs}
        # Traced once, however many signatures lead to it.
        specs = {name: tf.SparseTensorSpec([None, None], raw.dtype) for name, raw in self._raw_spec.items()}
        self._predict = tf.function(self._answer, autograph=False).get_concrete_function(specs)

    def examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Map serialized tf.Examples `(batch,)` to probabilities `(batch,)`."""
        return self._predict(tf.io.parse_example(examples, self._raw_spec))

    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Map serialized tf.Examples to class names and scores, both `(batch, 2)`."""
        probability = self.examples(inputs)[PROBABILITY]
        return {
            CLASS_NAMES: tf.tile(tf.constant([CLASSES]), [tf.size(probability), 1]),
            CLASS_SCORES: tf.stack([1 - probability, probability], axis=1),
        }

    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Map serialized tf.Examples to probabilities, by the name that Regress has for them."""
        return {REGRESSIONS: self.examples(inputs)[PROBABILITY]}

    def columns(self, **columns: tf.Tensor) -> dict[str, tf.Tensor]:
        """Map raw columns to probabilities `(batch,)`.

        Args:
            **columns: strings `(batch,)`, "" for missing; sequences `(batch, length)`, "" for no value;
                numbers `(batch,)`, NaN for missing.
        """
        return self._predict({name: _sparse(column) for name, column in columns.items()})

    def column_specs(self) -> dict[str, tf.TensorSpec]:
        """Return name, shape and type of every raw column."""
        specs = {self.log.domain: tf.TensorSpec([None], tf.string)}
        for name, feature in self.log.features.items():
            shape = [None, None] if feature.kind == "sequence" else [None]
            dtype = tf.float32 if feature.kind == "numeric" else tf.string
            specs[name] = tf.TensorSpec(shape, dtype)
        return specs

    def _answer(self, raw: dict[str, tf.SparseTensor]) -> dict[str, tf.Tensor]:
        transformed = self.transform_layer(self._as_ingested(raw))
        outputs = self.model({name: transformed[name] for name in raw}, training=False)
        return {PROBABILITY: self.model.probabilities(outputs)}

    def _as_ingested(self, raw: dict[str, tf.SparseTensor]) -> dict[str, tf.SparseTensor]:
        """Return raw values as training saw them: as ingest writes them (log_example_gen/checks.py)."""
        values = dict(raw)
        for name in raw:
            if name in (self.log.user, self.log.item):
                ids = tf.strings.regex_replace(raw[name].values, WHOLE_FLOAT, r"\1")
                values[name] = raw[name].with_values(ids)
        for name in self.log.features_of("sequence"):
            values[name] = _without_empty(raw[name])
        return values


def export(
    model: MultiDomainModel, transform: tft.TFTransformOutput, log: LogSchema, folder: Path | str
) -> None:
    """Write a SavedModel with the signatures `serving_default`, `classify`, `regress` and `columns`.

    Args:
        model: the trained model.
        transform: output of the Transform component.
        log: the log's schema.
        folder: the SavedModel's folder.

    Raises:
        ValueError: a weight is NaN or infinite; nothing is written.
    """
    for weight in model.weights:
        if not np.all(np.isfinite(weight.numpy())):
            raise ValueError(f"weight {weight.path} is not finite; the model is not exported.")
    servable = Servable(model, transform, log)
    examples = tf.TensorSpec([None], tf.string)
    signatures = {
        "serving_default": _traced(servable.examples, examples=examples),
        "classify": _traced(servable.classify, **{INPUTS: examples}),
        "regress": _traced(servable.regress, **{INPUTS: examples}),
        # By name, not by position: REST clients send named columns.
        "columns": _traced(servable.columns, **servable.column_specs()),
    }
    saved = tf.Module()
    # Not the model itself: Keras would have each of its layers' functions saved, and every weight twice.
    saved.weights = [variable.value for variable in model.variables]
    saved.tables = [
        part
        for part in tf.train.TrackableView(servable.transform_layer).descendants()
        if isinstance(part, tf.saved_model.experimental.TrackableResource)
    ]
    tf.saved_model.save(saved, str(folder), signatures=signatures)
    _write_extras(servable, Path(folder))


def _traced(function, **specs: tf.TensorSpec):
    """Return one signature: a function of named tensors."""
    return tf.function(function, autograph=False).get_concrete_function(**specs)


def _write_extras(servable: Servable, folder: Path) -> None:
    """Write what the served version tells others: warm-up requests, and what its columns mean."""
    (folder / "assets.extra").mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / WARM_UP)) as writer:
        for rows in WARM_UP_ROWS:
            for log in warm_up_logs(servable, rows):
                writer.write(log.SerializeToString())
    description = {
        "log": servable.log.model_dump(mode="json"),
        "spec": servable.model.spec.model_dump(mode="json"),
        "architecture": servable.model.name,
        "model": servable.model.model_settings.model_dump(mode="json"),
        "weights": describe_weights(servable.model),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")


def warm_up_logs(servable: Servable, rows: int) -> list[prediction_log_pb2.PredictionLog]:
    """Return one request per signature; its rows go round the domains, and all else in them is missing."""
    known = servable.model.spec.domains
    domains = [known[row % len(known)].encode() for row in range(rows)]
    examples = input_pb2.Input()
    for domain in domains:
        feature = examples.example_list.examples.add().features.feature[servable.log.domain]
        feature.bytes_list.value.append(domain)
    columns = {}
    for name, spec in servable.column_specs().items():
        missing = b"" if spec.dtype == tf.string else float("nan")
        values = domains if name == servable.log.domain else [missing] * rows
        columns[name] = tf.constant(values, spec.dtype, shape=(rows, 1) if spec.shape.rank == 2 else None)
    serialized = [example.SerializeToString() for example in examples.example_list.examples]
    predict = {"serving_default": {"examples": tf.constant(serialized)}, "columns": columns}
    logs = []
    for signature, tensors in predict.items():
        request = predict_pb2.PredictRequest(model_spec=_spec_of(signature))
        for name, tensor in tensors.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(tensor))
        logs.append({"predict_log": prediction_log_pb2.PredictLog(request=request)})
    request = classification_pb2.ClassificationRequest(model_spec=_spec_of("classify"), input=examples)
    logs.append({"classify_log": prediction_log_pb2.ClassifyLog(request=request)})
    request = regression_pb2.RegressionRequest(model_spec=_spec_of("regress"), input=examples)
    logs.append({"regress_log": prediction_log_pb2.RegressLog(request=request)})
    return [prediction_log_pb2.PredictionLog(**log) for log in logs]


def _spec_of(signature: str) -> model_pb2.ModelSpec:
    return model_pb2.ModelSpec(name="mdr", signature_name=signature)


def _without_empty(sequences: tf.SparseTensor) -> tf.SparseTensor:
    """Return sequences `(batch, values)` whose values that are not empty stand first."""
    kept = tf.sparse.retain(sequences, sequences.values != "")
    rows, batch = kept.indices[:, 0], sequences.dense_shape[0]
    return tf.RaggedTensor.from_value_rowids(kept.values, rows, batch, validate=False).to_sparse()


def _sparse(column: tf.Tensor) -> tf.SparseTensor:
    """Return the values of each row, those that say 'missing' left out."""
    if column.shape.rank == 1:
        column = tf.expand_dims(column, 1)
    if column.dtype == tf.string:
        return tf.sparse.from_dense(column)
    present = tf.where(tf.logical_not(tf.math.is_nan(column)))
    return tf.SparseTensor(present, tf.gather_nd(column, present), tf.shape(column, tf.int64))
