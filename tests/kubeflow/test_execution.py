"""The compiled spec is executed: every container's command, as a process, from raw logs to the push."""

import gzip
import json
import shutil
from datetime import date
from pathlib import Path

import pytest
import tensorflow as tf
import yaml
from cluster import Cluster, StepFailed

from kubeflow.compile import compile_pipeline
from pipeline.config import load
from schema.sample.write import write

DAYS, READ = 6, 4
STRICT = ("gate.overall.min_auc=0.99", "gate.domain.min_auc=0.99")
SMALL = ("learning.epochs=1", "learning.batch_size=128", "checks.new_domain=warn", "checks.max_skew=1")
WARM = "learning.warm_start=true"
FEATURES = "log.features={user_id: {min_count: 2}, price: {kind: numeric}, tags: {kind: sequence}}"
CROSSINGS = "evaluation.crossings=[new_user, day]"
LENIENT = {"overall": {"min_auc": 0.01, "calibration": None}, "domain": {"min_auc": None}}

pytestmark = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with dated logs, what was compiled for them, and a volume."""
    place = tmp_path_factory.mktemp("kubeflow")
    write(place / "sample", rows=2500, domains=3, days=DAYS, seed=0, shares=None)
    volume = f"kubeflow.volumes={{mdr: {place / 'volume'}}}"
    serving = f"kubeflow.serving={place / 'volume' / 'serving'}"
    for name, root in (("bucket", "minio://mlpipeline/mdr"), ("volume", f"{place / 'volume' / 'root'}")):
        changes = (
            *STRICT,
            *SMALL,
            WARM,
            FEATURES,
            CROSSINGS,
            volume,
            serving,
            f"kubeflow.pipeline_root={root}",
        )
        compile_pipeline(load(place / "sample" / "config.yaml", changes), place / f"{name}.yaml")
    return place


@pytest.fixture(scope="module")
def parameters(place) -> dict[str, str]:
    """What the run is started with: all but the last two days, another model, lower thresholds."""
    files = sorted((place / "sample" / "logs").iterdir())
    assert len(files) == DAYS
    span = files[READ - 1].name[:10]
    assert date.fromisoformat(span)
    return {
        "data-path": str(place / "sample" / "logs" / f"{{DATE}}{files[0].name[10:]}"),
        "span": span,
        "model": json.dumps({"architecture": "shared_bottom"}),
        "gate": json.dumps(LENIENT),
    }


@pytest.fixture(scope="module")
def executed(place, parameters) -> Cluster:
    """The whole run, with a bucket as pipeline root."""
    cluster = Cluster(place / "bucket.yaml", place / "run", parameters)
    cluster.run()
    return cluster


def test_every_executor_ran_and_the_model_was_pushed(executed, place):
    assert set(executed.outputs) == set(executed.spec["root"]["dag"]["tasks"])
    pushed = executed.outputs["model-pusher"]["pushed_model"]["metadata"]
    assert (pushed["pushed"], pushed["version"]) == (1, 1)
    assert pushed["pushed_destination"] == str(place / "volume" / "serving" / "1")
    answer = tf.saved_model.load(pushed["pushed_destination"]).signatures["serving_default"]
    [probabilities] = answer(tf.constant([b"", b""])).values()
    assert probabilities.shape == (2,)


def test_the_parameters_of_the_run_reached_their_components(executed, place):
    days = sorted((place / "sample" / "logs").iterdir())[:READ]
    rows = sum(len(gzip.decompress(file.read_bytes()).splitlines()) - 1 for file in days)
    assert executed.outputs["log-example-gen"]["examples"]["metadata"]["rows"] == rows
    [verdict] = executed.bucket.rglob("verdict.json")
    limits = [rule["limit"] for rule in json.loads(verdict.read_text())["rules"] if rule["limit"]]
    assert 0.01 in limits and 0.99 not in limits
    [chosen] = executed.bucket.rglob("model.json")
    assert json.loads(chosen.read_text())["architecture"] == "shared_bottom"


def test_the_next_run_begins_from_what_was_pushed(executed, place, parameters):
    [told] = executed.bucket.rglob("warm_start.json")
    assert json.loads(told.read_text())["words"] == "cold start: no version is pushed yet."
    other = parameters | {"model": json.dumps({"architecture": "shared_bottom", "embedding_dim": 16})}
    cluster = Cluster(place / "bucket.yaml", place / "next", other)
    cluster.outputs = dict(executed.outputs)
    shutil.copytree(executed.bucket, cluster.bucket)
    told = cluster.bucket / told.relative_to(executed.bucket)
    for step in ("latest-blessed-model", "trainer"):
        for artifact in cluster.outputs.pop(step).values():
            shutil.rmtree(cluster.bucket / artifact["uri"].split("://")[1], ignore_errors=True)
        cluster.step(step)
    assert not told.exists()
    [told] = cluster.bucket.rglob("warm_start.json")
    assert json.loads(told.read_text())["words"].startswith(
        "warm start from version 1: 3 domains kept, 0 new,"
    )


def test_a_parameter_that_does_not_fit_is_named_with_the_nearest_match(place, parameters, tmp_path):
    wrong = parameters | {"model": json.dumps({"architecture": "shared_botom"})}
    with pytest.raises(StepFailed, match=r"'shared_botom' is no architecture.*Did you mean 'shared_bottom'"):
        Cluster(place / "bucket.yaml", tmp_path, wrong).step("model-overrides")


def test_a_required_parameter_is_asked_for(place, tmp_path):
    with pytest.raises(StepFailed, match="no value of data-path"):
        Cluster(place / "bucket.yaml", tmp_path, {}).step("log-example-gen")


def test_artifacts_on_a_volume_stay_there_whole_and_keep_their_uris(place, parameters, tmp_path):
    root = place / "volume" / "root" / "mlpipeline" / "v2" / "artifacts"
    killed_before = root / "model-overrides" / "1" / "hyperparameters" / "half.json"
    killed_before.parent.mkdir(parents=True)
    killed_before.write_text("{")
    cluster = Cluster(place / "volume.yaml", tmp_path, parameters)
    cluster.step("model-overrides")
    uri = cluster.outputs["model-overrides"]["hyperparameters"]["uri"]
    assert uri == "minio://mlpipeline/v2/artifacts/model-overrides/1/hyperparameters"
    left = [
        str(path.relative_to(root / "model-overrides" / "1")) for path in root.rglob("*") if path.is_file()
    ]
    assert left == ["hyperparameters/model.json"]
    chosen = json.loads((killed_before.parent / "model.json").read_text())
    assert chosen["architecture"] == "shared_bottom"
    assert not cluster.bucket.exists()


def test_a_root_that_cannot_be_written_is_said_at_once(place, parameters, tmp_path):
    documents = list(yaml.safe_load_all((place / "volume.yaml").read_text()))
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    text = yaml.safe_dump_all(documents).replace(str(place / "volume" / "root"), str(blocked))
    (tmp_path / "blocked.yaml").write_text(text)
    cluster = Cluster(tmp_path / "blocked.yaml", tmp_path / "run", parameters)
    with pytest.raises(
        StepFailed, match=r"cannot write the artifacts of this step to .*file.*Not a directory"
    ):
        cluster.step("log-example-gen")
