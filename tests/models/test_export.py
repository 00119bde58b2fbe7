"""Feeding and export around the real Transform: the SavedModel answers as the model in memory does."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from components.model_pusher.push import warm_up_requests
from models import feeding, trainer, warm_start
from models.architectures.base import create_model
from models.backend import create_steps
from models.export import DESCRIPTION, WARM_UP, export
from models.feeding import load_columns
from models.inputs import Inputs
from models.served import meaning
from models.settings import LearningSettings, ModelSettings
from schema.log_schema import LogSchema

sys.path.append(str(Path(__file__).parents[1] / "components"))
from conftest_transformed import LOG, ROWS, dense
from example_artifacts import encode


@pytest.fixture(scope="module")
def model(spec):
    keras.utils.set_random_seed(0)
    built = create_model(spec, ModelSettings(embedding_dim=4))
    for weight in built.trainable_variables:  # as a trained model's, far from zero
        weight.assign(np.random.default_rng(1).normal(scale=0.3, size=weight.shape))
    return built


@pytest.fixture(scope="module")
def served(model, transformed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "model"
    export(model, transformed.output, LOG, folder)
    return folder


@pytest.fixture(scope="module")
def columns(transformed, spec, tmp_path_factory):
    return load_columns(transformed.files["test"], spec, tmp_path_factory.mktemp("cache") / "test")


def test_the_spec_holds_transform_s_sizes(spec, transformed):
    by_name = {field.name: field for field in spec.fields}
    assert spec.domains == ("news", "sport", "music")
    assert by_name["user"].size == transformed.output.vocabulary_size_by_name("user") + 1
    assert by_name["tags"].size == 9 + 1 + 1  # values, one OOV bucket, padding
    assert (by_name["tags"].length, by_name["age"].size, by_name["price"].kind) == (3, 5, "numeric")


def test_columns_are_all_rows_sorted_by_domain(columns, transformed):
    assert columns.rows == ROWS
    channels = [row["channel"] for row in transformed.rows["test"]]
    counts = [channels.count(name) for name in ("news", "sport", "music")]
    np.testing.assert_array_equal(np.diff(columns.offsets), [*counts, 0])
    clicks = sum(row["label"] for row in transformed.rows["test"])
    assert columns.arrays["label"].sum() == clicks
    assert (columns.arrays["channel"][columns.domain_rows(1)] == 1).all()


def test_columns_are_decoded_once_and_never_half_written(transformed, spec, tmp_path, monkeypatch):
    load_columns(transformed.files["train"], spec, tmp_path / "cache")
    monkeypatch.setattr(feeding, "_decode", None)  # a second decoding would fail
    assert load_columns(transformed.files["train"], spec, tmp_path / "cache").rows == 400

    def dies(files, spec, folder, extra):
        (folder / "0.npy").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(feeding, "_decode", dies)
    with pytest.raises(KeyboardInterrupt):
        load_columns(transformed.files["train"], spec, tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_no_rows_at_all_is_an_error(spec, tmp_path):
    with pytest.raises(ValueError, match="no rows"):
        load_columns([], spec, tmp_path / "cache")


def test_every_signature_equals_the_model_in_memory(model, columns, served, transformed):
    steps = create_steps(model, keras.optimizers.Adam())
    inputs = {name: np.asarray(array) for name, array in columns.arrays.items() if name != "label"}
    in_memory = np.sort(steps.predict(inputs))
    signatures = tf.saved_model.load(str(served)).signatures
    rows = transformed.rows["test"]
    serialized = tf.constant([encode({k: v for k, v in row.items() if k != "label"}) for row in rows])
    by_example = signatures["serving_default"](examples=serialized)["probability"].numpy()
    by_column = signatures["columns"](**dense(rows))["probability"].numpy()
    assert by_example.shape == (ROWS,)
    np.testing.assert_allclose(by_column, by_example, atol=1e-6)
    np.testing.assert_allclose(np.sort(by_example), in_memory, atol=1e-6)
    classes = signatures["classify"](inputs=serialized)
    np.testing.assert_allclose(classes["scores"], np.stack([1 - by_example, by_example], axis=1), atol=1e-6)
    assert classes["classes"].numpy().tolist() == [[b"0", b"1"]] * ROWS
    np.testing.assert_allclose(signatures["regress"](inputs=serialized)["outputs"], by_example, atol=1e-6)
    order = np.argsort([["news", "sport", "music"].index(row["channel"]) for row in rows], kind="stable")
    np.testing.assert_allclose(by_example[order], steps.predict(inputs), atol=1e-6)


def test_sequences_filled_up_to_max_length_and_merged_answer_as_each_request_alone(served, transformed):
    columns = tf.saved_model.load(str(served)).signatures["columns"]
    length = LOG.features["tags"].max_length
    rows = transformed.rows["test"]
    requests = [[row for row in rows if max(len(row["tags"]), 1) == width] for width in range(1, length + 2)]
    assert all(requests)
    alone = np.concatenate([columns(**dense(request))["probability"] for request in requests])
    merged = [row for request in requests for row in request]
    filled = [(row["tags"] + [""] * length)[:length] for row in merged]
    answers = columns(**dense(merged) | {"tags": tf.constant(filled)})["probability"]
    np.testing.assert_allclose(answers, alone, atol=1e-6)


def test_an_unknown_domain_user_and_value_is_answered(served):
    columns = dense([{"channel": "never seen", "user": "nobody", "tags": [], "price": None, "age": 1e9}])
    [score] = tf.saved_model.load(str(served)).signatures["columns"](**columns)["probability"].numpy()
    assert 0 < score < 1


def test_warm_up_requests_and_description_lie_beside(served):
    records = tf.data.TFRecordDataset(str(served / WARM_UP)).as_numpy_iterator()
    kinds = [prediction_log_pb2.PredictionLog.FromString(record).WhichOneof("log_type") for record in records]
    assert kinds == ["predict_log", "predict_log", "classify_log", "regress_log"] * 3
    requests = warm_up_requests(served)
    names = ["serving_default", "columns", "classify", "regress"]
    assert [name for name, _ in requests] == names * 3
    sizes = [len(next(iter(inputs.values()))) for _, inputs in requests]
    assert sizes == [rows for rows in (1, 32, 512) for _ in names]
    signatures = tf.saved_model.load(str(served)).signatures
    for name, inputs in requests:
        for output, answer in signatures[name](**inputs).items():
            assert output == "classes" or np.isfinite(answer).all()
    about = json.loads((served / DESCRIPTION).read_text())
    assert LogSchema.model_validate(about["log"]) == LOG
    assert about["architecture"] == "mmoe"


def test_weights_that_are_not_finite_are_never_exported(spec, transformed, tmp_path):
    broken = create_model(spec, ModelSettings(embedding_dim=4))
    weight = broken.trainable_variables[0]
    value = weight.numpy()
    value[0, 0] = np.nan
    weight.assign(value)
    with pytest.raises(ValueError, match="not finite"):
        export(broken, transformed.output, LOG, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def arguments(transformed, place, **values) -> SimpleNamespace:
    """What TFX hands to the trainer."""
    given = {
        "custom_config": {
            "log": LOG.model_dump_json(),
            "model": ModelSettings(embedding_dim=4).model_dump_json(),
            "learning": LearningSettings(epochs=1, batch_size=100).model_dump_json(),
            "checkpoints": str(place / "checkpoints"),
        },
        "transform_graph_path": transformed.graph,
        "train_files": transformed.files["train"],
        "eval_files": transformed.files["validation"],
        "serving_model_dir": str(place / "model"),
        "model_run_dir": str(place / "logs"),
        "base_model": None,
        "hyperparameters": None,
    }
    return SimpleNamespace(**{**given, **values})


def test_run_fn_exports_logs_and_removes_its_checkpoint(transformed, tmp_path):
    trainer.run_fn(arguments(transformed, tmp_path))
    assert (tmp_path / "model" / "saved_model.pb").is_file()
    assert json.loads((tmp_path / "logs" / "history.json").read_text())[0]["epoch"] == 1
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_training_begins_with_what_was_pushed_and_says_so(transformed, tmp_path):
    trainer.run_fn(arguments(transformed, tmp_path / "one"))
    again = arguments(transformed, tmp_path / "two")
    slow = LearningSettings(epochs=1, batch_size=100, learning_rate=1e-9, seed=5)
    served = {"folder": str(tmp_path / "one" / "model"), "version": 7, "why_not": ""}
    again.custom_config |= {"learning": slow.model_dump_json(), "served": served}
    trainer.run_fn(again)
    told = json.loads((tmp_path / "two" / "logs" / "warm_start.json").read_text())
    assert told["words"].startswith("warm start from version 7: 3 domains kept, 0 new, 0 gone;")
    examples = tf.constant([encode(row) for row in transformed.rows["test"][:50]])
    models = [tf.saved_model.load(str(tmp_path / name / "model")) for name in ("one", "two")]
    one, two = (model.signatures["serving_default"](examples)["probability"] for model in models)
    np.testing.assert_allclose(one, two, atol=1e-6)  # so small a rate moves nothing


def test_a_number_of_another_scale_is_a_cold_start(served, model, spec, transformed, tmp_path):
    shutil.copytree(served, tmp_path / "model")
    about = json.loads((served / DESCRIPTION).read_text())
    about["log"]["features"]["price"]["scale"] = "none"
    (tmp_path / "model" / DESCRIPTION).write_text(json.dumps(about))
    given = {"folder": str(tmp_path / "model"), "version": 7, "why_not": ""}
    now = meaning(spec, LOG, transformed.output)
    told = warm_start.begin(model, given, model.model_settings, now)
    assert "cannot be used: its features are" in told["words"] and "price (numeric none," in told["words"]


def test_damaged_weights_are_a_cold_start_that_changes_nothing(served, model, spec, transformed, tmp_path):
    shutil.copytree(served, tmp_path / "model")
    [data] = (tmp_path / "model" / "variables").glob("variables.data*")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 4])  # half copied
    fresh = create_model(spec, ModelSettings(embedding_dim=4))
    before = fresh.get_weights()
    given = {"folder": str(tmp_path / "model"), "version": 7, "why_not": ""}
    told = warm_start.begin(fresh, given, model.model_settings, meaning(spec, LOG, transformed.output))
    assert told["words"].startswith("cold start: version 7 cannot be read: ")
    for old, new in zip(before, fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_model_that_a_run_was_started_with_takes_the_place_of_the_configs(transformed, tmp_path):
    chosen = ModelSettings(architecture="star", embedding_dim=4).model_dump(mode="json")
    given = Inputs(arguments(transformed, tmp_path, hyperparameters=chosen))
    configs = Inputs(arguments(transformed, tmp_path))
    assert (given.model.architecture, configs.model.architecture) == ("star", "mmoe")
    assert given.work != configs.work  # a checkpoint of one is none of the other


@pytest.mark.parametrize("empty", [False, True])
def test_augmented_rows_are_told_from_training_rows_by_their_folder(transformed, tmp_path, empty):
    split = tmp_path / "Split-augmented"
    split.mkdir()
    if empty:
        tf.io.TFRecordWriter(str(split / "none.gz"), "GZIP").close()
    else:
        for file in transformed.files["test"]:
            shutil.copy(file, split)
    train = [f"{Path(transformed.files['train'][0]).parent}/*", f"{split}/*"]
    given = Inputs(arguments(transformed, tmp_path, train_files=train))
    alone = Inputs(arguments(transformed, tmp_path))
    assert given.train.rows == alone.train.rows == len(transformed.rows["train"])
    assert alone.augmented is alone.pseudo is alone.classifier is None and given.work != alone.work
    if empty:
        assert given.augmented is None
    else:
        assert given.augmented.rows == len(transformed.rows["test"])
