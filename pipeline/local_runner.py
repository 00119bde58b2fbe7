"""The process that runs the graph on this machine: `python -m pipeline.local_runner RUN_FOLDER`.

`mdr run` starts it, so that the log of TFX, Beam and TensorFlow goes to a file, a stop ends every thread,
and the command line itself stays quick.
"""

import datetime
import json
import logging
import os
import sys
import threading
import time
import traceback
from pathlib import Path

import yaml

from pipeline.config import Config
from pipeline.launch import Launch
from pipeline.run_folder import RunFolder, read_json
from pipeline.source import code_version
from schema.atomic import write_whole

WRONG_CONFIG = 2  # exit status


def main(folder: RunFolder) -> int:
    """Run the pipeline of a prepared run folder.

    Args:
        folder: holds `launch.json`, written by `mdr run`; gets `config.yaml` and `run.json`, or
            `partial.json` for a part of the graph, when every component has ended well.

    Returns:
        Exit status: 0 when every component ended well, `WRONG_CONFIG` when a setting is wrong.
    """
    from schema import progress

    logging.basicConfig(level=logging.INFO, force=True)
    progress.report("start", state="running")
    given = read_json(folder.launch)
    config, launch = Config.model_validate(given["config"]), Launch(**given["launch"])

    from models.registry import check

    try:  # here, and not in `mdr run`: the classes that know the settings take seconds to import
        check(config.model, config.learning, config.classifier is not None)
    except ValueError as error:
        progress.report("start", state="failed", error=str(error))
        return WRONG_CONFIG

    from tfx import v1 as tfx

    from pipeline.beam_runner import ReportingBeamDagRunner
    from pipeline.data_summary import summarize
    from pipeline.graph import create_components
    from pipeline.lineage import close_killed_executions, last_run_id, node_runs, open_store

    close_killed_executions(open_store(folder.metadata))
    started = datetime.datetime.now(datetime.UTC)
    pipeline = tfx.dsl.Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(folder.artifacts),
        components=create_components(config, launch),
        enable_cache=True,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(folder.metadata)
        ),
        beam_pipeline_args=config.beam.pipeline_args,
    )
    try:
        ReportingBeamDagRunner().run(pipeline)
    except Exception:
        traceback.print_exc()
        return 1
    ended = datetime.datetime.now(datetime.UTC)
    store = open_store(folder.metadata)
    run_id = last_run_id(store)
    components = node_runs(store, run_id) if run_id else {}
    for name, mib in _peaks(folder).items():
        components.get(name, {})["peak_mib"] = mib
    record = {
        "name": config.name,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((ended - started).total_seconds(), 1),
        "launch": vars(launch),
        "code": code_version("models", "components"),
        "data": summarize(store, components, config.log.domain),
        "components": components,
    }
    if launch.until:
        write_whole(folder.partial, json.dumps(record, indent=1))
    else:
        write_whole(folder.config, yaml.safe_dump(given["config"], sort_keys=False))
        write_whole(folder.record, json.dumps(record, indent=1))
    return 0


def _peaks(folder: RunFolder) -> dict[str, int]:
    """Return the peak memory in MiB that the components of this run reported."""
    lines = map(json.loads, folder.progress.read_text(encoding="utf-8").splitlines())
    return {line["component"]: line["peak_mib"] for line in lines if "peak_mib" in line}


def end_with_parent(parent: int, poll_seconds: float = 0.5) -> None:
    """End this process as soon as `mdr run` is gone, however it went: nobody holds the folder's lock then."""
    while os.getppid() == parent:
        time.sleep(poll_seconds)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    sys.exit(main(RunFolder(Path(sys.argv[1]))))
