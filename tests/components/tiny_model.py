"""A SavedModel with mdr's signatures whose answer is known: the click rate that its `rate` column says."""

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

FEATURES = {"rate": tf.io.VarLenFeature(tf.float32)}


class Tiny(tf.Module):
    """Answers `rate * scale`; a missing rate counts as 0.5."""

    def __init__(self, scale: float):
        super().__init__()
        self.scale = tf.Variable(scale)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def examples(self, examples):
        """Answer serialized tf.Examples."""
        rate = tf.io.parse_example(examples, FEATURES)["rate"]
        rate = tf.SparseTensor(rate.indices, rate.values, [tf.size(examples, tf.int64), 1])
        return {"probability": tf.sparse.to_dense(rate, 0.5)[:, 0] * self.scale}


def save_tiny(folder: Path, scale: float = 1.0) -> Path:
    """Write the model with a warm-up request for its one signature."""
    tiny = Tiny(scale)
    tf.saved_model.save(tiny, str(folder), signatures={"serving_default": tiny.examples})
    (folder / "assets.extra").mkdir()
    request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(signature_name="serving_default"))
    request.inputs["examples"].CopyFrom(tf.make_tensor_proto([tf.train.Example().SerializeToString()]))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    with tf.io.TFRecordWriter(str(folder / "assets.extra/tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
    return folder
