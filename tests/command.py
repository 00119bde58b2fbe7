"""Runs the command line as a user does."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parents[1]


def mdr(*arguments: str | Path) -> subprocess.CompletedProcess:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, timeout=600)


def kill_when_running(arguments: list, folder: Path, component: str) -> str:
    """Start `mdr`, kill all of its processes once a component runs, and return the component's name."""
    command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=PROJECT)
    progress = folder / "logs" / "progress.jsonl"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if progress.is_file() and f'"{component}"' in progress.read_text():
            break
        time.sleep(0.1)
    for started in psutil.Process(process.pid).children(recursive=True):
        started.kill()
    process.kill()
    process.wait()
    return json.loads(progress.read_text().splitlines()[-1])["component"]
