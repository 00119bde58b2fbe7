"""One whole run on this machine, through the command line, with real TFX, Beam, TFMA and ML Metadata."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import tensorflow as tf
from command import PROJECT, mdr

COMPONENTS = {
    "LogExampleGen",
    "StatisticsGen",
    "LogSchemaGen",
    "ExampleValidator",
    "DataGate",
    "Transform",
    "ItemPopularity",
    "CounterfactualAugmenter",
    "Trainer",
    "LatestBlessedModel",
    "ServingLookup",
    "DomainEvaluator",
    "DomainGate",
    "ModelPusher",
}


@pytest.fixture(scope="module")
def figures(pipeline_run):
    done = mdr("report", "--run", pipeline_run.folder, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_killed_run_goes_on_from_the_last_finished_component(pipeline_run):
    assert pipeline_run.resumed.returncode == 0, pipeline_run.resumed.stdout + pipeline_run.resumed.stderr
    states = pipeline_run.states()
    assert set(states) == COMPONENTS
    assert states[pipeline_run.killed_at] == "complete"
    before = {name for name, state in states.items() if state == "cached"}
    assert {"LogExampleGen", "StatisticsGen", "LogSchemaGen", "DataGate"} <= before
    assert states["Trainer"] == "complete"


def test_it_ends_with_the_table_and_where_everything_is(pipeline_run):
    printed = pipeline_run.resumed.stdout
    assert "all rows" in printed
    assert "channel_01" in printed
    for place in ("serving/1", "report.html", "metadata.sqlite"):
        assert str(pipeline_run.folder / place) in printed


def test_the_figures_for_machines(pipeline_run, figures):
    assert figures["model"] == "mmoe"
    assert figures["blessed"] is True
    assert figures["pushed_to"] == str(pipeline_run.folder / "serving" / "1")
    assert len(figures["domains"]) == 6
    for measured in (figures["overall"], *figures["domains"].values()):
        assert {"auc", "logloss", "calibration", "rows", "positives"} <= set(measured)
    assert sum(domain["rows"] for domain in figures["domains"].values()) == figures["overall"]["rows"]
    assert 0.5 < figures["overall"]["auc"] < 1


def test_it_says_how_many_rows_were_augmented_and_from_where_to_where(pipeline_run, figures):
    augmentation = figures["augmentation"]
    assert augmentation["reason"] == ""
    assert sum(move["rows"] for move in augmentation["moves"]) == augmentation["rows"] > 0
    minor = {domain["domain"]: domain["minor"] for domain in augmentation["domains"]}
    assert {(minor[move["source"]], minor[move["target"]]) for move in augmentation["moves"]} == {
        (False, True)
    }
    ingested = pipeline_run.record()["components"]["LogExampleGen"]["outputs"]["examples"]["properties"]
    assert augmentation["target"] == pytest.approx(0.1 * ingested["rows_train"])
    assert augmentation["rows"] == pytest.approx(augmentation["target"], rel=0.25)


def test_the_pushed_model_answers_through_both_signatures_alike(pipeline_run, figures):
    model = tf.saved_model.load(figures["pushed_to"])
    example = tf.train.Example()
    given = {"channel": b"channel_02", "user_id": b"7", "item_id": b"9", "device": b"phone"}
    for name, value in given.items():
        example.features.feature[name].bytes_list.value.append(value)
    example.features.feature["price"].float_list.value.append(12.5)
    [by_example] = model.signatures["serving_default"](tf.constant([example.SerializeToString()])).values()
    columns = {
        name: tf.constant([[b""]] if spec.shape.rank == 2 else [b""])
        for name, spec in model.signatures["columns"].structured_input_signature[1].items()
        if spec.dtype == tf.string
    }
    columns |= {name: tf.constant([value]) for name, value in given.items()} | {"price": tf.constant([12.5])}
    [by_column] = model.signatures["columns"](**columns).values()
    np.testing.assert_allclose(by_example, by_column, atol=1e-6)
    columns |= {"channel": tf.constant(["never seen"]), "price": tf.constant([float("nan")])}
    [unknown] = model.signatures["columns"](**columns).values()
    assert 0 < unknown.numpy()[0] < 1


def test_predict_scores_a_file_as_the_evaluation_saw_it(pipeline_run, figures, tmp_path):
    log = sorted((pipeline_run.config.parent / "logs").iterdir())[-1]
    out = tmp_path / "scored.csv"
    done = mdr("predict", "--model", pipeline_run.folder / "serving", log, "--out", out)
    assert done.returncode == 0, done.stderr
    with open(out) as file:
        scored = list(csv.DictReader(file))
    assert len(scored) == figures["overall"]["rows"]  # the last day is the test split
    clicks = np.array([float(row["clicked"]) for row in scored])
    scores = np.array([float(row["probability"]) for row in scored])
    assert clicks.sum() == figures["overall"]["positives"]
    assert scores.mean() / clicks.mean() == pytest.approx(figures["overall"]["calibration"], abs=1e-3)


def test_predict_names_a_missing_column_and_what_is_no_model(pipeline_run, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("chanel,user_id\nx,1\n")
    done = mdr("predict", "--model", pipeline_run.folder / "serving", rows)
    assert done.returncode == 2
    assert "no column 'channel'. Did you mean 'chanel'?" in done.stderr
    done = mdr("predict", "--model", tmp_path, rows)
    assert "neither a model that mdr pushed" in done.stderr


def test_the_page_holds_every_domain_and_needs_no_network(pipeline_run, figures):
    page = (pipeline_run.folder / "report.html").read_text()
    assert all(name in page for name in figures["domains"])
    assert "Go." in page
    assert 'src="http' not in page


def test_a_second_run_reuses_everything_but_a_push_that_is_gone(pipeline_run):
    shutil.rmtree(pipeline_run.folder / "serving")  # by hand: the cache must not answer for what is gone
    again = mdr("run", "--config", pipeline_run.config, "--out", pipeline_run.folder, *pipeline_run.settings)
    assert again.returncode == 0, again.stdout + again.stderr
    states = pipeline_run.states()
    assert states.pop("ModelPusher") == "complete"
    assert set(states.values()) == {"cached"}


def test_two_runs_on_one_folder_the_second_says_so(pipeline_run):
    from filelock import FileLock

    with FileLock(pipeline_run.folder / ".lock"):
        done = mdr("run", "--config", pipeline_run.config, "--out", pipeline_run.folder)
    assert done.returncode == 1
    assert "another run works in" in done.stderr


def test_a_folder_that_cannot_be_written_is_said(pipeline_run, tmp_path):
    (tmp_path / "file").write_text("no folder")
    done = mdr("run", "--config", pipeline_run.config, "--out", tmp_path / "file" / "run")
    assert done.returncode == 2
    assert f"cannot write to {tmp_path}/file/run: Not a directory; give another --out." in done.stderr


def test_ctrl_c_ends_every_process_and_says_how_to_go_on(pipeline_run, tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "run", "--config", pipeline_run.config, "--out", folder],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        cwd=PROJECT,
    )
    wait_for(
        lambda: (folder / "logs" / "progress.jsonl").is_file() and psutil.Process(process.pid).children()
    )
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert "the same command goes on from there" in process.stderr.read()
    assert psutil.wait_procs(children, timeout=5)[1] == []


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time."
        time.sleep(0.05)


def test_what_does_not_fit_is_found_before_anything_is_written(pipeline_run, tmp_path):
    done = mdr(
        "run",
        *("--config", pipeline_run.config, "--out", tmp_path / "run"),
        *("--set", "log.domain=chanel", "--set", "model.architecture=mmo", "--set", "log.time=null"),
    )
    assert done.returncode == 2
    assert "log.domain: the logs have no column 'chanel'" in done.stderr
    assert "Did you mean 'channel'?" in done.stderr
    assert "'mmo'" in done.stderr
    assert "split.by is 'time', but log.time is not set" in done.stderr
    assert not (tmp_path / "run").exists()
