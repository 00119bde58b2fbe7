"""Serving reads raw values as ingest does, which wrote those that training saw."""

import pyarrow as pa
import pytest
import tensorflow as tf

from components.log_example_gen.checks import as_lists, as_strings
from models.export import PROBABILITY, Servable
from schema.log_schema import LogSchema

LENGTH = 3
FEATURES = {"user": {}, "tags": {"kind": "sequence", "max_length": LENGTH}}
LOG = LogSchema(domain="channel", label={"column": "click"}, user="user", item="item", features=FEATURES)
USERS = ["12.0", "12", "+3.00", "-4.", "1.5", "u1.0", ".0", "1.0.0", "7.0 ", "10.0e1", "", "\u0663.0"]
TAGS = [["", "a"], ["a", "", "", "", "b"], ["a", "b", "c", "d"], ["1.0"], [], [""], ["a", "b", ""]]


class Shown:
    """Stands for the transform graph and the model: the answer is the values that reach them."""

    def __call__(self, inputs, training):
        return inputs

    def transform_features_layer(self):
        return lambda raw: {name: self._dense(column) for name, column in raw.items()}

    def raw_feature_spec(self):
        return {name: tf.io.VarLenFeature(tf.string) for name in ("channel", "user", "tags")}

    def probabilities(self, outputs):
        return tf.strings.join([outputs["user"], outputs["tags"]], "|")

    def _dense(self, column):
        kept = tf.sparse.slice(column, [0, 0], [column.dense_shape[0], LENGTH])  # as the transform graph cuts
        shape = [column.dense_shape[0], LENGTH]
        filled = tf.sparse.to_dense(tf.SparseTensor(kept.indices, kept.values, shape), "")
        return tf.strings.reduce_join(filled, axis=1, separator=",")


@pytest.fixture(scope="module")
def servable():
    return Servable(Shown(), Shown(), LOG)


@pytest.fixture(scope="module")
def rows():
    return [(user, tags) for user in USERS for tags in TAGS]


@pytest.fixture(scope="module")
def ingested(rows):
    users, tags = (list(column) for column in zip(*rows, strict=True))
    users = as_strings(pa.array(users), is_id=True).fill_null("").to_pylist()
    tags = as_lists(pa.array(tags), "|").to_pylist()
    return [
        f"{user},,|{','.join((values + [''] * LENGTH)[:LENGTH])}"
        for user, values in zip(users, tags, strict=True)
    ]


def test_columns_are_read_as_in_the_logs(servable, rows, ingested):
    longest = max(len(tags) for _, tags in rows)
    tags = [values + [""] * (longest - len(values)) for _, values in rows]
    users = [user for user, _ in rows]
    columns = {"channel": [""] * len(rows), "user": users, "tags": tags}
    answers = servable.columns(**{name: tf.constant(values) for name, values in columns.items()})
    assert [answer.decode() for answer in answers[PROBABILITY].numpy()] == ingested


def test_tf_examples_are_read_as_in_the_logs(servable, rows, ingested):
    examples = []
    for user, tags in rows:
        feature = {"user": [user], "tags": tags}
        lists = {name: tf.train.BytesList(value=[v.encode() for v in vs]) for name, vs in feature.items()}
        features = {name: tf.train.Feature(bytes_list=values) for name, values in lists.items()}
        example = tf.train.Example(features=tf.train.Features(feature=features))
        examples.append(example.SerializeToString())
    answers = servable.examples(tf.constant(examples))[PROBABILITY].numpy()
    assert [answer.decode() for answer in answers] == ingested


@pytest.mark.parametrize("neighbour", ["u1", "5.0"])
def test_an_id_is_the_same_whatever_stands_beside_it(neighbour):
    assert as_strings(pa.array(["12.00", neighbour]), is_id=True)[0].as_py() == "12"
