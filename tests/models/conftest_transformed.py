"""A real Transform's output, once per test session."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from models.features import FeatureSpec
from schema.log_schema import LogSchema

sys.path.append(str(Path(__file__).parents[1] / "components"))
from example_artifacts import artifact, run_statistics_gen, run_transform, write_examples

LOG = LogSchema.model_validate(
    {
        "domain": "channel",
        "label": {"column": "click"},
        "user": "user",
        "features": {
            "user": {"min_count": 2},
            "tags": {"kind": "sequence", "max_length": 3},
            "price": {"kind": "numeric"},
            "age": {"kind": "numeric", "scale": "buckets", "buckets": 4},
        },
    }
)
ROWS = 1000


def make_rows(count: int, seed: int) -> list[dict]:
    random = np.random.default_rng(seed)
    return [
        {
            "label": int(random.random() < 0.4),
            "channel": str(random.choice(["news", "sport", "music"], p=[0.6, 0.3, 0.1])),
            "user": None if random.random() < 0.1 else f"u{random.integers(40)}",
            "tags": [f"t{tag}" for tag in random.integers(0, 9, random.integers(0, 5))],
            "price": None if random.random() < 0.1 else float(random.normal(10, 4)),
            "age": None if random.random() < 0.1 else float(random.integers(18, 70)),
        }
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def transformed(tmp_path_factory):
    """Real Transform output, and the raw rows of the test split."""
    from tfx.types import standard_artifacts

    from components.data_gate.settings import ChecksSettings
    from components.log_schema_gen.component import LogSchemaGen

    place = tmp_path_factory.mktemp("transform")
    rows = {"train": make_rows(400, 0), "validation": make_rows(200, 1), "test": make_rows(ROWS, 2)}
    examples = write_examples(place / "examples", rows)
    schema = artifact(standard_artifacts.Schema, place / "schema")
    LogSchemaGen.test_call(
        statistics=run_statistics_gen(examples, place / "statistics"),
        schema=schema,
        log=LOG.model_dump_json(),
        checks=ChecksSettings().model_dump_json(),
        review="",
        code="",
    )
    graph, out = run_transform(examples, schema, LOG, place / "transformed")
    files = {split: tf.io.gfile.glob(f"{out.uri}/Split-{split}/*.gz") for split in rows}
    return SimpleNamespace(
        graph=graph.uri,
        output=tft.TFTransformOutput(graph.uri),
        files=files,
        rows=rows,
        artifacts={"transform_graph": [graph], "examples": [out], "schema": [schema]},
    )


@pytest.fixture(scope="session")
def spec(transformed):
    return FeatureSpec.from_transform(LOG, transformed.output)


def dense(rows: list[dict]) -> dict[str, tf.Tensor]:
    """Raw rows as a REST client would send them."""
    longest = max(len(row["tags"]) for row in rows)
    tags = [row["tags"] + [""] * (longest - len(row["tags"])) for row in rows]
    nan = float("nan")
    return {
        "channel": tf.constant([row["channel"] for row in rows]),
        "user": tf.constant([row["user"] or "" for row in rows]),
        "tags": tf.constant(tags, tf.string, shape=(len(rows), longest)),
        "price": tf.constant([nan if row["price"] is None else row["price"] for row in rows], tf.float32),
        "age": tf.constant([nan if row["age"] is None else row["age"] for row in rows], tf.float32),
    }
