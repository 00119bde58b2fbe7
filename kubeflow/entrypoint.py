"""The command of every step's container: TFX's own entry point, but on local files.

Kubeflow's launcher hands a step the URIs of its artifacts, such as minio://bucket/key, and copies what lies
there from and to local paths. TFX would open the URIs themselves, which neither `tf.io.gfile` nor pathlib can
for S3 and MinIO. So the URIs become paths before TFX starts, and URIs again in what it reports.
"""

import argparse
import copy
import json
import os
import runpy
import shutil
import sys
from pathlib import Path

from schema.atomic import write_whole

TFX = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
INPUT = "--json_serialized_invocation_args"


def main(arguments: list[str]) -> None:
    """Run the executor of one step.

    Args:
        arguments: those of TFX's entry point, and either `--artifact_path inputs.NAME=PATH` for each artifact
            (where the launcher puts it) or `--artifact_root FOLDER` on a volume that all steps mount.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument(INPUT, dest="given", type=json.loads, required=True)
    parser.add_argument("--artifact_path", action="append", default=[])
    parser.add_argument("--artifact_root", type=Path)
    own, others = parser.parse_known_args(arguments)
    places = dict(place.split("=", 1) for place in own.artifact_path)
    local = on_files(own.given, places, own.artifact_root)
    _make_folders(local["outputs"])
    _run_tfx([INPUT, json.dumps(local), *others])
    _report(local["outputs"], own.given["outputs"])


def on_files(given: dict, places: dict[str, str], root: Path | None) -> dict:
    """Return the launcher's ExecutorInput with a local path in place of each artifact's URI.

    Args:
        given: ExecutorInput as JSON.
        places: path by `inputs.NAME` and `outputs.NAME`, where there is no `root`.
        root: folder of all artifacts; what TFX writes on the way then lies there too, for Beam's workers and
            the TF Serving of an infra validation must see it.
    """
    local = copy.deepcopy(given)
    for side in ("inputs", "outputs"):
        for name, listed in local.get(side, {}).get("artifacts", {}).items():
            for artifact in listed["artifacts"]:
                uri = artifact["uri"]
                artifact["uri"] = str(root / uri.split("://")[-1]) if root else places[f"{side}.{name}"]
    if root:
        beside = Path(next(_paths(local["outputs"]))).parent
        local["outputs"]["outputFile"] = str(beside / ".task" / "output_metadata.json")
    return local


def _paths(outputs: dict):
    return (artifact["uri"] for listed in outputs["artifacts"].values() for artifact in listed["artifacts"])


def _make_folders(outputs: dict) -> None:
    """Make an empty folder for every output: the launcher makes none, and a killed try may have left half."""
    for path in _paths(outputs):
        try:
            if os.path.isdir(path):
                shutil.rmtree(path)
            os.makedirs(path)
        except OSError as error:
            sys.exit(
                f"mdr: cannot write the artifacts of this step to {path}: {error.strerror}. The folder of "
                "kubeflow.pipeline_root must be mounted for writing and belong to the user of the image."
            )


def _run_tfx(arguments: list[str]) -> None:
    sys.argv = [TFX, *arguments]
    try:
        runpy.run_module(TFX, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code:
            raise


def _report(local: dict, given: dict) -> None:
    """Write TFX's report where the launcher reads it, with the URIs that it knows."""
    written = Path(local["outputFile"])
    report = json.loads(written.read_text(encoding="utf-8"))
    for name, listed in report.get("artifacts", {}).items():
        for artifact, known in zip(listed["artifacts"], given["artifacts"][name]["artifacts"], strict=True):
            artifact["uri"] = known["uri"]
    asked = Path(given["outputFile"])
    write_whole(asked, json.dumps(report))
    if written != asked:
        shutil.rmtree(written.parent, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
