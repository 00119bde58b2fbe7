"""The preprocessing graph, through the stock Transform: what each kind of column becomes."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from example_artifacts import (
    artifact,
    encode,
    read_split,
    run_statistics_gen,
    run_transform,
    write_examples,
)
from tfx.types import standard_artifacts

from components.data_gate.settings import ChecksSettings
from components.log_schema_gen.component import LogSchemaGen
from components.transform.preprocessing import check_vocabulary_names
from schema.log_schema import LogSchema

LOG = LogSchema.model_validate(
    {
        "domain": "my channel",
        "label": {"column": "clicked"},
        "user": "user_id",
        "item": "item_id",
        "features": {
            "user_id": {"min_count": 2, "oov_buckets": 3},
            "shop/brand": {"max_size": 2},
            "empty": None,
            "tags": {"kind": "sequence", "max_length": 3, "min_count": 2},
            "price": {"kind": "numeric"},
            "constant": {"kind": "numeric"},
            "absent": {"kind": "numeric"},
            "age": {"kind": "numeric", "scale": "buckets", "buckets": 4},
            "hour": {"kind": "numeric", "scale": "none"},
        },
    }
)


def rows(count: int, seed: int) -> list[dict]:
    random = np.random.default_rng(seed)
    return [
        {
            "label": int(random.random() < 0.3),
            "my channel": str(random.choice(["home", "search", "rare"], p=[0.6, 0.3, 0.1])),
            "user_id": f"u{random.zipf(1.5) % 90}",
            "item_id": f"i{random.integers(30)}",
            "shop/brand": str(random.choice(["a", "b", "c", ""], p=[0.5, 0.2, 0.2, 0.1])) or None,
            "empty": None,
            "tags": [f"t{tag}" for tag in random.integers(0, 8, random.integers(0, 6))],
            "price": None if random.random() < 0.2 else float(random.gamma(2.0, 10.0)),
            "constant": 0.1,
            "absent": None,
            "age": None if random.random() < 0.2 else float(random.integers(18, 80)),
            "hour": float(random.integers(24)),
        }
        for _ in range(count)
    ]


TRAIN = rows(400, seed=1)
ODD = {  # nothing of it is known to training, and a float is not finite
    "label": 1,
    "my channel": "new",
    "user_id": "nobody",
    "item_id": "i0",
    "shop/brand": "zz",
    "empty": "x",
    "tags": ["t1", "unseen", "t2", "t3", "t4"],
    "price": float("nan"),
    "constant": 7.0,
    "absent": float("inf"),
    "age": 1e9,
    "hour": float("-inf"),
}
BARE = {"label": 0, "my channel": "home"}


@pytest.fixture(scope="module")
def transformed(tmp_path_factory) -> tuple[tft.TFTransformOutput, dict[str, dict]]:
    """Run StatisticsGen, LogSchemaGen and Transform; return the graph and the columns by split."""
    folder = tmp_path_factory.mktemp("transform")
    splits = {"train": TRAIN, "validation": rows(50, seed=2), "test": [ODD, BARE]}
    examples = write_examples(folder / "raw", splits)
    statistics = run_statistics_gen(examples, folder / "statistics")
    schema = artifact(standard_artifacts.Schema, folder / "schema")
    LogSchemaGen.test_call(
        statistics=statistics,
        schema=schema,
        log=LOG.model_dump_json(),
        checks=ChecksSettings().model_dump_json(),
    )
    graph, outputs = run_transform(examples, schema, LOG, folder / "transform")
    output = tft.TFTransformOutput(graph.uri)
    return output, {split: read_split(outputs, split, output.transformed_feature_spec()) for split in splits}


def by_frequency(column: str, least: int = 1) -> list[str]:
    values = [row[column] if isinstance(row[column], list) else [row[column]] for row in TRAIN]
    counts = Counter(value for row in values for value in row if value is not None)
    return [value for value, count in counts.most_common() if count >= least]


def test_every_column_has_the_type_and_shape_a_model_reads(transformed):
    output, splits = transformed
    spec = {
        name: (feature.dtype, feature.shape) for name, feature in output.transformed_feature_spec().items()
    }
    integers = ["label", "my channel", "user_id", "shop/brand", "empty", "age"]
    numbers = ["price", "constant", "absent", "hour"]
    assert spec == {
        **dict.fromkeys(integers, (tf.int64, [])),
        **dict.fromkeys(numbers, (tf.float32, [])),
        "tags": (tf.int64, [3]),
    }
    assert [len(columns["label"]) for columns in splits.values()] == [400, 50, 2]
    np.testing.assert_array_equal(np.sort(splits["train"]["label"]), np.sort([row["label"] for row in TRAIN]))


def test_domains_are_ordered_by_frequency_and_an_unknown_one_comes_last(transformed):
    output, splits = transformed
    assert output.vocabulary_by_name("my channel") == [b"home", b"search", b"rare"]
    counts = Counter(row["my channel"] for row in TRAIN)
    assert np.bincount(splits["train"]["my channel"]).tolist() == [
        counts[d] for d in ("home", "search", "rare")
    ]
    assert splits["test"]["my channel"].tolist() == [3, 0]


def test_rare_unseen_and_missing_values_share_the_oov_buckets(transformed):
    output, splits = transformed
    kept = by_frequency("user_id", least=2)
    assert {value.decode() for value in output.vocabulary_by_name("user_id")} == set(kept)
    assert output.vocabulary_size_by_name("user_id") == len(kept)
    once = sum(count == 1 for count in Counter(row["user_id"] for row in TRAIN).values())
    assert once > 0
    assert np.sum(splits["train"]["user_id"] >= len(kept)) == once
    for value in splits["test"]["user_id"]:
        assert len(kept) <= value < len(kept) + 3


def test_a_vocabulary_keeps_the_most_frequent_values(transformed):
    output, splits = transformed
    assert output.vocabulary_size_by_name("shop/brand") == 2
    assert output.vocabulary_by_name("shop/brand")[0] == b"a"
    others = sum(row["shop/brand"] not in by_frequency("shop/brand")[:2] for row in TRAIN)
    assert np.sum(splits["train"]["shop/brand"] == 2) == others
    assert splits["test"]["shop/brand"].tolist() == [2, 2]


def test_a_column_without_values_still_has_an_index(transformed):
    output, splits = transformed
    size = output.vocabulary_size_by_name("empty") + 1
    for columns in splits.values():
        assert ((columns["empty"] >= 0) & (columns["empty"] < size)).all()


def test_sequences_are_cut_shifted_and_padded(transformed):
    output, splits = transformed
    vocabulary = [value.decode() for value in output.vocabulary_by_name("tags")]
    index = {value: position + 1 for position, value in enumerate(vocabulary)}
    unknown = len(vocabulary) + 1
    expected = [
        ([index.get(tag, unknown) for tag in row["tags"]] + [0, 0, 0])[:3]
        for row in [*TRAIN, ODD, {"tags": []}]
    ]
    found = np.concatenate([splits["train"]["tags"], splits["test"]["tags"]]).tolist()
    assert sorted(found) == sorted(expected)
    assert splits["test"]["tags"].tolist() == [[index["t1"], unknown, index["t2"]], [0, 0, 0]]


def test_z_scores_come_from_training_and_a_missing_number_is_the_mean(transformed):
    _, splits = transformed
    known = np.array([row["price"] for row in TRAIN if row["price"] is not None], np.float32)
    expected = np.concatenate([(known - known.mean()) / known.std(), np.zeros(len(TRAIN) - len(known))])
    np.testing.assert_allclose(np.sort(splits["train"]["price"]), np.sort(expected), atol=1e-4)
    assert splits["test"]["price"].tolist() == [0.0, 0.0]


def test_no_number_is_ever_nan_or_infinite(transformed):
    for columns in transformed[1].values():
        for name in LOG.features_of("numeric"):
            assert np.isfinite(columns[name]).all(), name
    np.testing.assert_allclose(transformed[1]["train"]["constant"], 0.0, atol=1e-3)
    assert not transformed[1]["train"]["absent"].any()


def test_quantile_buckets_are_even_and_missing_has_its_own(transformed):
    _, splits = transformed
    counts = np.bincount(splits["train"]["age"])
    missing = sum(row["age"] is None for row in TRAIN)
    assert len(counts) == 5 and counts[4] == missing
    np.testing.assert_allclose(counts[:4], (len(TRAIN) - missing) / 4, rtol=0.25)
    assert splits["test"]["age"].tolist() == [3, 4]


def test_serving_gives_what_training_saw(transformed):
    output, splits = transformed
    spec = output.raw_feature_spec()
    spec.pop("label")
    raw = tf.io.parse_example([encode(ODD), encode(BARE)], spec)
    served = output.transform_features_layer()(raw)
    assert "label" not in served
    for name, values in served.items():
        np.testing.assert_array_equal(values.numpy(), splits["test"][name], err_msg=name)


def test_columns_that_would_share_a_vocabulary_file_are_refused():
    log = LOG.model_copy(update={"features": {**LOG.features, "shop_brand": LOG.features["empty"]}})
    with pytest.raises(ValueError, match="'shop/brand' and 'shop_brand' would share"):
        check_vocabulary_names(log)
