"""What the image is made of is there, and it runs without rights."""

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions in order, each with its text on one line."""
    text = (PROJECT / "kubeflow" / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


def test_it_is_built_from_the_lock_and_holds_every_room():
    copied = [source for word, text in instructions() if word == "COPY" for source in text.split()[:-1]]
    rooms = {path.parent.name for path in PROJECT.glob("*/__init__.py")}
    assert set(copied) == rooms | {"requirements.lock", "pyproject.toml", "setup.py"}
    allowed = (PROJECT / ".dockerignore").read_text().splitlines()
    assert allowed[0] == "**" and {f"!{source}" for source in copied} <= set(allowed)
    [install] = [text for word, text in instructions() if word == "RUN" and "requirements.lock" in text]
    assert "--no-deps --require-hashes" in install


def test_it_runs_as_a_user_without_rights_whose_entry_points_start():
    words = [word for word, _ in instructions()]
    [user] = [text for word, text in instructions() if word == "USER"]
    assert int(user) > 0  # a number: Kubernetes' runAsNonRoot cannot judge a name
    tried = " ".join(text for word, text in instructions()[words.index("USER") :] if word == "RUN")
    for entry in ("mdr --help", "kubeflow.entrypoint --help", "kubeflow_v2_run_executor --help"):
        assert entry in tried


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed: apt install make")
def test_make_image_says_what_is_missing():
    command = ["make", "image", "DOCKER=no-such-builder"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no no-such-builder here" in done.stderr
