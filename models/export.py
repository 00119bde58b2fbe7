"""The SavedModel that TF Serving loads: the transform graph and the model in one."""

import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from models.architectures.base import MultiDomainModel
from models.served import DESCRIPTION, describe_weights
from schema.log_schema import LogSchema

WARM_UP = "assets.extra/tf_serving_warmup_requests"
PROBABILITY = "probability"


class Servable(tf.Module):
    """A trained model behind the transform graph, with raw columns or serialized tf.Examples as input.

    Args:
        model: the trained model.
        transform: output of the Transform component.
        log: the log's schema.
    """

    def __init__(self, model: MultiDomainModel, transform: tft.TFTransformOutput, log: LogSchema):
        super().__init__()
        self.model = model
        self.transform_layer = transform.transform_features_layer()
        self.log = log
        inputs = {log.domain, *log.features}
        # The label and columns that only other stages read are neither needed nor accepted at serving.
        self._raw_spec = {name: spec for name, spec in transform.raw_feature_spec().items() if name in inputs}

    def examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Map serialized tf.Examples `(batch,)` to probabilities `(batch,)`."""
        return self._predict(tf.io.parse_example(examples, self._raw_spec))

    def columns(self, **columns: tf.Tensor) -> dict[str, tf.Tensor]:
        """Map raw columns to probabilities `(batch,)`.

        Args:
            **columns: strings `(batch,)`, "" for missing; sequences `(batch, length)`, "" for no value;
                numbers `(batch,)`, NaN for missing.
        """
        return self._predict({name: _sparse(column) for name, column in columns.items()})

    def column_specs(self) -> dict[str, tf.TensorSpec]:
        """Return name, shape and type of every raw column."""
        specs = {self.log.domain: tf.TensorSpec([None], tf.string, name=self.log.domain)}
        for name, feature in self.log.features.items():
            shape = [None, None] if feature.kind == "sequence" else [None]
            dtype = tf.float32 if feature.kind == "numeric" else tf.string
            specs[name] = tf.TensorSpec(shape, dtype, name=name)
        return specs

    def _predict(self, raw: dict[str, tf.SparseTensor]) -> dict[str, tf.Tensor]:
        transformed = self.transform_layer(raw)
        outputs = self.model({name: transformed[name] for name in raw}, training=False)
        return {PROBABILITY: self.model.probabilities(outputs)}


def export(
    model: MultiDomainModel, transform: tft.TFTransformOutput, log: LogSchema, folder: Path | str
) -> None:
    """Write a SavedModel with the signatures `serving_default` and `columns`.

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
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.track(servable.transform_layer)
    archive.add_endpoint(
        "serving_default", servable.examples, [tf.TensorSpec([None], tf.string, name="examples")]
    )
    # By name, not by position: REST clients send named columns.
    columns = tf.function(servable.columns).get_concrete_function(**servable.column_specs())
    archive.add_endpoint("columns", lambda kwargs: columns(**kwargs), [servable.column_specs()])
    archive.write_out(str(folder), verbose=False)
    _write_extras(servable, Path(folder))


def _write_extras(servable: Servable, folder: Path) -> None:
    """Write what the served version tells others: warm-up requests, and what its columns mean."""
    (folder / "assets.extra").mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / WARM_UP)) as writer:
        for request in warm_up_requests(servable):
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())
    description = {
        "log": servable.log.model_dump(mode="json"),
        "spec": servable.model.spec.model_dump(mode="json"),
        "architecture": servable.model.name,
        "model": servable.model.model_settings.model_dump(mode="json"),
        "weights": describe_weights(servable.model),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")


def warm_up_requests(servable: Servable) -> list[predict_pb2.PredictRequest]:
    """Return one request per signature, of a row of the largest domain in which all else is missing."""
    domain = servable.model.spec.domains[0].encode()
    example = tf.train.Example()
    example.features.feature[servable.log.domain].bytes_list.value.append(domain)
    columns = {}
    for name, spec in servable.column_specs().items():
        missing = b"" if spec.dtype == tf.string else float("nan")
        value = domain if name == servable.log.domain else missing
        columns[name] = tf.constant([[value]] if spec.shape.rank == 2 else [value], spec.dtype)
    requests = []
    for signature, tensors in (
        ("serving_default", {"examples": tf.constant([example.SerializeToString()])}),
        ("columns", columns),
    ):
        request = predict_pb2.PredictRequest(
            model_spec=model_pb2.ModelSpec(name="mdr", signature_name=signature)
        )
        for name, tensor in tensors.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(tensor))
        requests.append(request)
    return requests


def _sparse(column: tf.Tensor) -> tf.SparseTensor:
    """Return the values of each row, those that say 'missing' left out."""
    if column.shape.rank == 1:
        column = tf.expand_dims(column, 1)
    if column.dtype == tf.string:
        return tf.sparse.from_dense(column)
    present = tf.where(tf.logical_not(tf.math.is_nan(column)))
    return tf.SparseTensor(present, tf.gather_nd(column, present), tf.shape(column, tf.int64))
