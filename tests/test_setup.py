"""The set-up of a fresh machine: each way it can fail is one clear line."""

import os
import shutil
import subprocess
from distutils.core import run_setup
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def checkout(tmp_path):
    """A folder with the set-up script and nothing installed, and a PATH that tests can shadow."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(PROJECT / ".ci" / "setup", tmp_path / ".ci" / "setup")
    (tmp_path / "bin").mkdir()
    return tmp_path


def fake(checkout: Path, name: str, script: str) -> None:
    program = checkout / "bin" / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def set_up(checkout: Path) -> str:
    environment = {**os.environ, "PATH": f"{checkout / 'bin'}:/usr/bin:/bin", "PYTHON": ""}
    done = subprocess.run([checkout / ".ci" / "setup"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    faults = [line for line in done.stderr.splitlines() if line.startswith("mdr set-up: ")]
    assert len(faults) == 1, done.stderr
    return faults[0]


def test_another_platform_is_named(checkout):
    fake(checkout, "uname", 'if [ "$1" = -s ]; then echo Darwin; else echo arm64; fi')
    assert "Linux on x86-64" in set_up(checkout)


def test_no_python_311_is_named(checkout):
    for name in ("python3.11", "python3", "python"):
        fake(checkout, name, "exit 1")
    assert "needs Python 3.11 and found none" in set_up(checkout)


def test_no_network_is_named_and_the_details_kept(checkout):
    # A stand-in for an interpreter: it is 3.11, it makes an environment, and its pip reaches nothing.
    fake(
        checkout,
        "python3.11",
        'case "$*" in *"-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python;; '
        '*"-m pip"*) echo "Could not reach the index"; exit 1;; esac',
    )
    assert "no network" in set_up(checkout)
    assert "Could not reach the index" in (checkout / ".venv" / "setup.log").read_text()


def test_an_activated_environment_is_left_alone(checkout):
    fake(
        checkout,
        "python3.11",
        'case "$*" in *"-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python;; '
        '*"-m pip"*) printf \'#!/bin/sh\\necho "$@" >> asked\\n\' > .venv/bin/uv;'
        "chmod +x .venv/bin/uv;; esac",
    )
    environment = {
        **os.environ,
        "PATH": f"{checkout / 'bin'}:/usr/bin:/bin",
        "PYTHON": "",
        "VIRTUAL_ENV": "/other",
    }
    subprocess.run([checkout / ".ci" / "setup"], env=environment, check=True, capture_output=True)
    asked = (checkout / "asked").read_text().splitlines()
    assert len(asked) == 2 and all("--python .venv/bin/python" in line for line in asked)


def test_every_file_that_the_code_reads_is_installed_with_it(monkeypatch):
    monkeypatch.chdir(PROJECT)
    build = run_setup("setup.py", stop_after="init").get_command_obj("build_py")
    build.ensure_finalized()
    installed = {Path(folder, file) for _, folder, _, files in build.data_files for file in files}
    rooms = ("schema", "models", "components", "pipeline")  # kubeflow's files are for kubectl alone
    there = {path for room in rooms for path in Path(room).rglob("*.*")}
    assert {path for path in there if path.suffix not in (".py", ".pyc")} <= installed


def test_the_lock_names_no_package_index():
    assert "://" not in (PROJECT / "requirements.lock").read_text()
