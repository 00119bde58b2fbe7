"""`mdr run`: checks the config, starts the pipeline in its own process and shows how it goes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from components.latest_blessed_model.versions import key_of_run, latest_version
from components.log_example_gen.sources import fingerprint, newest_date
from pipeline.config import Config
from pipeline.config_errors import ConfigError
from pipeline.local_runner import WRONG_CONFIG
from pipeline.preflight import check_data
from pipeline.run_folder import RunFolder, read_json
from pipeline.source import config_key
from pipeline.watch import Watch
from schema.atomic import write_whole
from schema.progress import PROGRESS_FILE

STOP_SECONDS = 10  # how long a stopped pipeline may take to end before it is killed


class RunError(RuntimeError):
    """The run stopped; what it had finished is kept.

    Attributes:
        status: exit status of the command line.
    """

    def __init__(self, message: str, status: int = 1):
        super().__init__(message)
        self.status = status


def run(config: Config, folder: RunFolder, console: Console, until: str = "") -> dict[str, Any]:
    """Run the pipeline on this machine.

    `config.yaml` and `run.json` of the last run that ended well stay until this one has ended well, too; a
    run of a part of the graph leaves them as they are.

    Args:
        config: the checked config.
        folder: where everything of the run goes; what an earlier run left there is reused.
        console: where the progress is shown.
        until: the last component to run, such as `Transform`; empty for all.

    Returns:
        What each component did (see pipeline/lineage.py).

    Raises:
        ConfigError: the data does not fit the config, or a setting of the model or its training is wrong;
            no component was started.
        RunError: another run holds the folder, it cannot be written, a component failed, or Ctrl-C.
    """
    check_data(config)
    lock = FileLock(folder.lock)
    try:
        folder.progress.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"another run works in {folder.root}; wait for it or give another --out.") from None
    except OSError as error:
        why = error.strerror or error
        raise RunError(f"cannot write to {folder.root}: {why}; give another --out.", status=2) from None
    with lock:
        _prepare(config, folder, until)
        console.print(f"[dim]log: {folder.log}[/dim]")
        watch = Watch(console)
        status = _start_and_watch(folder, watch)
    if status:
        name, error = watch.failure
        if status == WRONG_CONFIG:
            raise ConfigError(error)
        raise RunError(
            f"{name} failed: {error}\nThe whole log is {folder.log}. What was finished is kept: "
            "the same command goes on from there."
        )
    return read_json(folder.partial if until else folder.record)["components"]


def _prepare(config: Config, folder: RunFolder, until: str) -> None:
    """Write what the pipeline's process is given: the checked config, and what the start adds to it."""
    newest = newest_date(config.data)
    if newest:  # named or found, the day is the same to the cache; and no later one comes in between
        data = config.data.model_copy(update={"span": newest})
        config = config.model_copy(update={"data": data})
    data = fingerprint(config.data)
    made_of = config_key(config)
    push = Path(config.push.path) if config.push.path else folder.serving
    served = latest_version(push, key_of_run(made_of, data), newest)
    launch = {
        "fingerprint": data,
        "config_key": made_of,
        "baseline": str(served.number) if served else "",
        "push": str(push),
        "checkpoints": str(folder.checkpoints),
        "review": str(folder.schema),
        "lost_pushes": _lost_pushes(folder),
        "until": until,
    }
    given = {"config": config.model_dump(mode="json"), "launch": launch}
    write_whole(folder.launch, json.dumps(given, indent=1))
    folder.progress.write_text("", encoding="utf-8")


def _lost_pushes(folder: RunFolder) -> int:
    """Return how often the push of this folder's run is to be tried again.

    The cache would answer for a version that is no longer there, or with a refusal that may be past.
    """
    if not folder.record.is_file():
        return 0
    record = read_json(folder.record)
    outputs = record["components"].get("ModelPusher", {}).get("outputs", {})
    pushed = outputs.get("pushed_model", {}).get("properties", {})
    place = pushed.get("pushed_destination")
    lost = bool(pushed.get("refused") or (place and not Path(place).is_dir()))
    return record["launch"]["lost_pushes"] + lost


def _start_and_watch(folder: RunFolder, watch: Watch) -> int:
    environment = {
        **os.environ,
        PROGRESS_FILE: str(folder.progress),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_USE_LEGACY_KERAS": "1",  # what Transform sets, but only once it is imported
        "PYTHONUNBUFFERED": "1",
    }
    with open(folder.log, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.local_runner", str(folder.root)],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then ends the whole group
        )
    try:
        with watch, open(folder.progress, encoding="utf-8") as progress:
            while process.poll() is None:
                watch.update(progress.readlines())
                time.sleep(0.2)
            watch.update(progress.readlines())
    except KeyboardInterrupt:
        raise RunError(
            "stopped. What was finished is kept: the same command goes on from there.", status=130
        ) from None
    finally:
        _end(process)
    return process.returncode


def _end(process: subprocess.Popen) -> None:
    """End the pipeline's process and all that it started."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
