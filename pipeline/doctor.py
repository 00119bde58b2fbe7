"""Checks that a machine can run mdr, and says in words what is wrong and what to do."""

import importlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
IMPORTS = ("tensorflow", "keras", "apache_beam", "tfx", "tensorflow_model_analysis", "ml_metadata")
MIN_GLIBC = (2, 35)
MIN_MEMORY_GIB = 8
MIN_DISK_GIB = 10


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes:
        name: what was checked.
        good: whether it is as it must be.
        found: what was found.
        advice: what to do when it is not good.
    """

    name: str
    good: bool
    found: str
    advice: str = ""


def examine(out: Path) -> Iterator[Finding]:
    """Check this machine, one finding after the other.

    Args:
        out: folder that runs would be written to; need not exist yet.
    """
    yield _python()
    yield _platform()
    yield _memory()
    yield _disk(out)
    yield _writable(out)
    yield _lock()
    for module in IMPORTS:
        yield _import(module)


def show(findings: Iterator[Finding], console: Console) -> bool:
    """Print each finding as it comes; return whether all were good."""
    faults = 0
    for finding in findings:
        faults += not finding.good
        mark = "[green]✓[/]" if finding.good else "[red]✗[/]"
        console.print(f"{mark} {finding.name:<28} {finding.found}", highlight=False)
        if not finding.good:
            console.print(f"  {finding.advice}", highlight=False)
    console.print("this machine can run mdr." if not faults else f"{faults} to mend.", highlight=False)
    return not faults


def _python() -> Finding:
    version = platform.python_version()
    good = sys.version_info[:2] == (3, 11)
    return Finding(
        "Python 3.11", good, version, "TFX loads on 3.11 only: make PYTHON=/path/to/python3.11 test."
    )


def _platform() -> Finding:
    name, version = platform.libc_ver()
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    good = (platform.system(), platform.machine()) == ("Linux", "x86_64") and numbers >= MIN_GLIBC
    found = f"{platform.system()} {platform.machine()}, {name} {version}"
    needed = ".".join(map(str, MIN_GLIBC))
    return Finding(
        f"Linux x86-64, glibc {needed}", good, found, "use Debian 12, Ubuntu 22.04 or newer, or the image."
    )


def _memory() -> Finding:
    gib = psutil.virtual_memory().available / 2**30
    return Finding(
        f"memory, {MIN_MEMORY_GIB} GiB free", gib >= MIN_MEMORY_GIB, f"{gib:.1f} GiB", "close other programs."
    )


def _disk(out: Path) -> Finding:
    gib = shutil.disk_usage(_existing(out)).free / 2**30
    return Finding(
        f"disk, {MIN_DISK_GIB} GiB free",
        gib >= MIN_DISK_GIB,
        f"{gib:.1f} GiB",
        f"free some space, or give another --out than {out}.",
    )


def _writable(out: Path) -> Finding:
    folder = _existing(out)
    good = os.access(folder, os.W_OK | os.X_OK)
    return Finding("folder for runs", good, str(folder.absolute()), "not writable: change its owner.")


def _lock() -> Finding:
    lock = ROOT / "requirements.lock"
    if not lock.is_file():
        return Finding("versions", False, "requirements.lock not found", "run mdr from a checkout.")
    wanted = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", lock.read_text(encoding="utf-8"), re.M))
    wrong = []
    for name, version in wanted.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "missing"
        if installed != version:
            wrong.append(f"{name} {installed} (lock: {version})")
    found = f"{len(wanted) - len(wrong)} of {len(wanted)} as locked"
    if wrong:
        found += ": " + ", ".join(wrong[:5]) + (" …" if len(wrong) > 5 else "")
    return Finding("versions", not wrong, found, "make clean, then make test installs the locked set again.")


def _import(module: str) -> Finding:
    try:
        importlib.import_module(module)
    except Exception as error:
        return Finding(f"import {module}", False, f"{type(error).__name__}: {error}", "run make test again.")
    return Finding(f"import {module}", True, "loads")


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.is_dir())
