"""How the data of a run drifted: TFDV's figures over statistics of known rows, from a real metadata store."""

import numpy as np
import pandas as pd
import pytest
import tfx  # noqa: F401 - first: it stands in for a part of tfx-bsl that TFDV imports and the wheels lack

# isort: split
import tensorflow_data_validation as tfdv
from ml_metadata.proto import metadata_store_pb2 as mlmd
from report_results import results_of

from pipeline.data_summary import DIVERGENCE, SHARE, TRAIN, summarize
from pipeline.lineage import open_store
from pipeline.report import data
from pipeline.report.page import write_page


def statistics_at(folder, channels, price):
    table = pd.DataFrame({"channel": channels, "price": price, "time": np.arange(len(price))})
    path = folder / TRAIN
    path.parent.mkdir(parents=True)
    path.write_bytes(tfdv.generate_statistics_from_dataframe(table).SerializeToString())
    return str(folder)


@pytest.fixture
def runs(tmp_path):
    """A store with two executions of StatisticsGen, and where their statistics are."""
    random = np.random.default_rng(0)
    first = statistics_at(tmp_path / "1", ["a"] * 80 + ["b"] * 20, random.normal(0, 1, 100))
    second = statistics_at(tmp_path / "2", ["a"] * 50 + ["c"] * 50, random.normal(3, 1, 100))
    store = open_store(tmp_path / "metadata.sqlite")
    made = store.put_artifact_type(mlmd.ArtifactType(name="ExampleStatistics"))
    kind = store.put_execution_type(mlmd.ExecutionType(name="tfx.components.StatisticsGen"))
    for uri in (first, second):
        execution = mlmd.Execution(type_id=kind, last_known_state=mlmd.Execution.COMPLETE)
        event = mlmd.Event(type=mlmd.Event.OUTPUT)
        event.path.steps.add().key = "statistics"
        store.put_execution(execution, [(mlmd.Artifact(type_id=made, uri=uri), event)], [])
    return store, first, second


def components(uri):
    return {"StatisticsGen": {"outputs": {"statistics": {"uri": uri}}}}


def test_drift_is_measured_against_the_data_before(runs):
    store, _, second = runs
    found = summarize(store, components(second), "channel")
    assert found["domains"] == {"a": 50, "c": 50} and found["before"] == {"a": 80, "b": 20}
    by_column = {one["column"]: one for one in found["drift"]}
    assert set(by_column) == {"channel", "price"}  # the time always moves
    assert by_column["channel"] == {"column": "channel", "measure": SHARE, "value": pytest.approx(0.5)}
    assert by_column["price"]["measure"] == DIVERGENCE and 0.5 < by_column["price"]["value"] <= 1
    assert [one["value"] for one in found["drift"]] == sorted(
        (o["value"] for o in found["drift"]), reverse=True
    )


def test_the_first_data_of_a_folder_has_nothing_to_drift_from(runs):
    store, first, _ = runs
    assert summarize(store, components(first), "channel") == {
        "domains": {"a": 80, "b": 20},
        "before": None,
        "drift": None,
    }
    assert summarize(store, {}, "channel") is None


def test_the_page_names_what_moved_what_is_new_and_what_is_gone(runs, tmp_path):
    store, first, second = runs
    for uri, words in (
        (second, ("2 of 2 columns moved by more", "<dt>new domains</dt><dd>c", "<dt>gone domains</dt><dd>b")),
        (first, ("this folder had no other data before",)),
    ):
        results = results_of([])
        results.record["data"] = summarize(store, components(uri), "channel")
        write_page(results, tmp_path / "report.html")
        page = " ".join((tmp_path / "report.html").read_text().split())
        assert all(word in page for word in words)
    assert data.section(results_of([])) is None
