"""Stands for the cluster: does with a compiled spec what Kubeflow Pipelines v2 does, a process a container.

Driver and launcher are followed as their sources have them (backend/src/v2): the driver resolves parameters
and names output URIs below the pipeline root; the launcher copies inputs from the bucket to local paths,
fills in the placeholders, starts the command, reads the output metadata file, copies outputs to the bucket. A
bucket knows files only, no empty folders. Each step has a file system of its own, except for volumes.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from pathlib import Path

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import ExecutorOutput

SCHEMES = {"gs": "gcs", "s3": "s3", "minio": "minio"}
OWN_ROOT = "minio://mlpipeline/v2/artifacts"  # of an installation, where the spec names none
IMAGE = Path(__file__).resolve().parents[2] / "kubeflow" / "Dockerfile"


class StepFailed(Exception):
    """A container ended with an error; the text is the end of its log."""


class Cluster:
    """One run of a compiled pipeline.

    Args:
        file: what `mdr compile` wrote. place: folder of bucket, steps and logs.
        parameters: the run's parameters.
    """

    def __init__(self, file: Path, place: Path, parameters: dict[str, str]):
        self.spec, self.platform = yaml.safe_load_all(file.read_text())
        self.bucket, self.steps = place / "bucket", place / "steps"
        self.given = parameters
        self.outputs: dict[str, dict[str, dict]] = {}  # artifacts by task and key
        self._ids = itertools.count(1)

    def run(self, at_once: int = 2) -> None:
        """Run every task as soon as those it depends on have ended, so many at once."""
        tasks = self.spec["root"]["dag"]["tasks"]
        order = TopologicalSorter({name: task.get("dependentTasks", ()) for name, task in tasks.items()})
        order.prepare()
        running = {}
        with ThreadPoolExecutor(at_once) as pool:
            while order.is_active():
                running |= {pool.submit(self.step, name): name for name in order.get_ready()}
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                try:
                    for step in done:
                        step.result()
                        order.done(running.pop(step))
                except StepFailed:
                    pool.shutdown(cancel_futures=True)
                    raise

    def step(self, name: str) -> None:
        """Run the container of one task."""
        task = self.spec["root"]["dag"]["tasks"][name]
        component = self.spec["components"][task["componentRef"]["name"]]
        container = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        own = self.steps / name
        own.mkdir(parents=True)
        given = self._executor_input(name, task, component, own)
        for artifact in _artifacts(given["inputs"]).values():
            _copy_files(self._stored(artifact["uri"]), _local(own, artifact["uri"]))
        words = _placeholders(given, own)
        command = [_fill(word, words) for word in container["command"] + container["args"]]
        with open(own / "log", "wb") as log:
            ended = subprocess.run(
                command, cwd=own, env=_environment(own), stdout=log, stderr=log, check=False
            )
        if ended.returncode:
            raise StepFailed(f"{name}:\n" + (own / "log").read_text(errors="replace")[-4000:])
        self._publish(name, given)

    def _executor_input(self, name: str, task: dict, component: dict, own: Path) -> dict:
        inputs = task.get("inputs", {})
        produced = {
            key: self.outputs[source["taskOutputArtifact"]["producerTask"]][
                source["taskOutputArtifact"]["outputArtifactKey"]
            ]
            for key, source in inputs.get("artifacts", {}).items()
        }
        root = self.spec.get("defaultPipelineRoot", OWN_ROOT)
        made = {
            key: {"type": wanted["artifactType"], "uri": f"{root}/{name}/{next(self._ids)}/{key}"}
            for key, wanted in component["outputDefinitions"]["artifacts"].items()
        }
        return {
            "inputs": {
                "parameterValues": {
                    key: self._value(value) for key, value in inputs.get("parameters", {}).items()
                },
                "artifacts": {key: {"artifacts": [artifact]} for key, artifact in produced.items()},
            },
            "outputs": {
                "artifacts": {key: {"artifacts": [artifact]} for key, artifact in made.items()},
                "outputFile": str(own / "tmp" / "kfp_outputs" / "output_metadata.json"),
            },
        }

    def _value(self, value: dict):
        if "runtimeValue" in value:
            return value["runtimeValue"]["constant"]
        name = value["componentInputParameter"]
        known = self.spec["root"]["inputDefinitions"]["parameters"][name]
        if name not in self.given and "defaultValue" not in known:
            raise StepFailed(f"the run gives no value of {name}, which has no default")
        return self.given.get(name, known.get("defaultValue"))

    def _publish(self, name: str, given: dict) -> None:
        text = Path(given["outputs"]["outputFile"]).read_text()
        said = json_format.MessageToDict(json_format.Parse(text, ExecutorOutput()))
        self.outputs[name] = {}
        for key, artifact in _artifacts(given["outputs"]).items():
            reported = said.get("artifacts", {}).get(key, {"artifacts": [{}]})["artifacts"][0]
            known = artifact | {part: reported[part] for part in ("uri", "metadata") if reported.get(part)}
            _copy_files(_local(self.steps / name, known["uri"]), self._stored(known["uri"]))
            self.outputs[name][key] = known | {"name": str(next(self._ids))}

    def _stored(self, uri: str) -> Path:
        return self.bucket / uri.split("://")[1]


def _artifacts(side: dict) -> dict[str, dict]:
    return {key: listed["artifacts"][0] for key, listed in side.get("artifacts", {}).items()}


def _local(own: Path, uri: str) -> Path:
    scheme, path = uri.split("://")
    return own / SCHEMES[scheme] / path


def _copy_files(source: Path, target: Path) -> None:
    for file in source.rglob("*"):
        if file.is_file():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def _placeholders(given: dict, own: Path) -> dict[str, str]:
    words = {"{{$}}": json.dumps(given)}
    for side in ("inputs", "outputs"):
        for key, artifact in _artifacts(given[side]).items():
            words[f"{{{{$.{side}.artifacts['{key}'].uri}}}}"] = artifact["uri"]
            words[f"{{{{$.{side}.artifacts['{key}'].path}}}}"] = str(_local(own, artifact["uri"]))
    return words


def _fill(word: str, words: dict[str, str]) -> str:
    for placeholder, value in words.items():
        word = word.replace(placeholder, value)
    return word


def _environment(own: Path) -> dict[str, str]:
    """Return what the image sets, and where its `python` is here."""
    [line] = [line for line in IMAGE.read_text().splitlines() if line.startswith("ENV ")]
    image = dict(pair.split("=", 1) for pair in line.removeprefix("ENV ").split())
    python = Path(sys.executable).parent
    return {**image, "PATH": f"{python}{os.pathsep}/usr/bin:/bin", "HOME": str(own)}
