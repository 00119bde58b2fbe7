"""What the tests of pages share: a real browser."""

import shutil
import subprocess

import pytest

FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=5000"


@pytest.fixture
def browser(tmp_path):
    """Return a function that shows a file or URL at a width and returns its DOM and console lines."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt install chromium to test the page in a browser.")

    def show(page, width):
        command = [
            chromium,
            *FLAGS.split(),
            f"--window-size={width},1500",
            f"--user-data-dir={tmp_path / 'c'}",
        ]
        url = page if str(page).startswith("http") else f"file://{page}"
        done = subprocess.run([*command, "--dump-dom", url], capture_output=True, text=True)
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return done.stdout, console

    return show
