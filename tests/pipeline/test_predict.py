"""Scoring files: every format in and out, missing values, and what is wrong with a file."""

import gzip
import json
import os

import numpy as np
import polars as pl
import pytest
import tensorflow as tf

from pipeline import predict as predict_module
from pipeline.predict import predict, raw_columns
from schema.log_schema import LogSchema

FEATURES = {"user_id": {}, "price": {"kind": "numeric"}, "tags": {"kind": "sequence"}}
LOG = LogSchema(domain="channel", label={"column": "click"}, user="user_id", features=FEATURES)
ROWS = pl.DataFrame(
    {
        "channel": ["news", "sport", None],
        "user_id": ["007", "1", "22"],
        "price": [0.25, None, 1.0],
        "tags": [["a", "b"], [], ["c"]],
        "note": ["kept", "too", "!"],
    }
)
# What `Raw` answers: letters of domain and user + 100 per tag + 1000 x price, or 5000 without a price.
ANSWERS = [4 + 3 + 200 + 250, 5 + 1 + 5000, 0 + 2 + 100 + 1000]


class Raw(tf.Module):
    """A model whose answer shows which raw values reached it."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="channel"),
            tf.TensorSpec([None], tf.string, name="user_id"),
            tf.TensorSpec([None], tf.float32, name="price"),
            tf.TensorSpec([None, None], tf.string, name="tags"),
        ]
    )
    def columns(self, channel, user_id, price, tags):
        """Answer raw columns."""
        letters = tf.strings.length(channel) + tf.strings.length(user_id)
        count = tf.reduce_sum(tf.cast(tags != "", tf.int32), axis=1)
        cost = tf.where(tf.math.is_nan(price), 5000.0, 1000 * price)
        return {"probability": tf.cast(letters + 100 * count, tf.float32) + cost}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    target = tmp_path_factory.mktemp("serving")
    raw = Raw()
    tf.saved_model.save(raw, str(target / "3"), signatures={"columns": raw.columns})
    (target / "3" / "assets.extra").mkdir()
    description = json.dumps({"log": LOG.model_dump(mode="json")})
    (target / "3" / "assets.extra" / "mdr.json").write_text(description)
    return target


def write_csv(path):
    text = ROWS.with_columns(pl.col("tags").list.join("|")).write_csv()
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def write_jsonl(path):
    text = ROWS.write_ndjson()
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


WRITERS = {
    "rows.csv": write_csv,
    "rows.csv.gz": write_csv,
    "rows.jsonl": write_jsonl,
    "rows.jsonl.gz": write_jsonl,
    "rows.parquet": ROWS.write_parquet,
}
READERS = {"out.csv": pl.read_csv, "out.jsonl": pl.read_ndjson, "out.parquet": pl.read_parquet}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("rows.csv", "out.csv"),
        ("rows.csv.gz", "out.parquet"),
        ("rows.jsonl", "out.jsonl"),
        ("rows.jsonl.gz", "out.parquet"),
        ("rows.parquet", "out.jsonl"),
    ],
)
def test_every_format_reaches_the_model_with_the_same_values(model, tmp_path, monkeypatch, given, wanted):
    monkeypatch.setattr(predict_module, "BATCH_ROWS", 2)
    WRITERS[given](tmp_path / given)
    assert predict(model, tmp_path / given, tmp_path / wanted) == 3
    scored = READERS[wanted](tmp_path / wanted)
    np.testing.assert_allclose(scored["probability"], ANSWERS)
    assert scored["note"].to_list() == ["kept", "too", "!"]
    assert sorted(os.listdir(tmp_path)) == sorted([given, wanted])


def test_types_and_keys_of_json_come_from_all_lines(model, tmp_path):
    rows = [{"channel": "news", "user_id": "1", "tags": [], "price": 1}] * 150
    rows += [{"channel": "news", "user_id": "1", "tags": ["a"], "price": 0.5, "note": "late"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    predict(model, tmp_path / "rows.jsonl", tmp_path / "out.jsonl")
    last = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[-1])
    assert (last["probability"], last["note"]) == (4 + 1 + 100 + 500, "late")


def test_a_sequence_is_cut_to_what_the_model_reads():
    table = ROWS.with_columns(tags=pl.lit("a|b|" * 500))
    most = LOG.features["tags"].max_length
    assert raw_columns(table, LOG)["tags"].tolist() == [["a", "b"] * (most // 2)] * 3


def test_a_version_s_own_folder_is_a_model_too(model, tmp_path):
    write_csv(tmp_path / "rows.csv")
    assert predict(model / "3", tmp_path / "rows.csv", tmp_path / "out.csv") == 3


GOOD = "channel,user_id,price,tags\nnews,1,0.5,a\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", "chanel,user_id,price,tags\nx,1,1,a\n", "no column 'channel'. Did you mean 'chanel'"),
        ("rows.csv", GOOD + "news,1,cheap,a\n", "row 2: price is 'cheap'; it must be a finite number"),
        ("rows.csv", GOOD + "news,1,inf,a\n", "row 2: price is 'inf'; it must be a finite number"),
        ("rows.csv", "", "rows.csv is not readable as .csv"),
        ("rows.csv", GOOD.splitlines()[0], "rows.csv has no rows"),
        ("rows.csv", GOOD + "a,b,c,d,e\n", "rows.csv is not readable as .csv"),
        ("rows.jsonl", "not json", "rows.jsonl is not readable as .jsonl"),
        ("rows.parquet", "not parquet", "rows.parquet is not readable as .parquet"),
        ("rows.txt", GOOD, "rows.txt must end in one of"),
        ("other.csv", None, "other.csv is not a file"),
    ],
)
def test_a_file_that_cannot_be_scored_is_named_and_nothing_written(model, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=r"^.*" + message.replace(".", r"\.")):
        predict(model, tmp_path / name, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("out.txt", "must end in one of"),
        ("no/out.csv", "is not a folder"),
        ("out.csv", r"holds no lists \(tags\)"),
    ],
)
def test_a_place_that_cannot_be_written_is_found_before_scoring(model, tmp_path, out, message):
    ROWS.write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match=message):
        predict(model, tmp_path / "rows.parquet", tmp_path / out)
    assert os.listdir(tmp_path) == ["rows.parquet"]


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ValueError, match="neither a model that mdr pushed nor a folder of its versions"):
        predict(tmp_path, tmp_path / "rows.csv", tmp_path / "out.csv")
