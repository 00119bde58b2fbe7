"""Which machine and which versions a figure comes from."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = ("tensorflow", "keras", "apache-beam", "tfx")


def machine() -> str:
    """Return processor, cores, memory and versions in one line."""
    models = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    }
    memory = memory_mib() / 2**10
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = os.cpu_count()
    processor = ", ".join(sorted(models)) or platform.machine()
    return f"{processor}, {cores} cores, {memory:.0f} GiB; Python {platform.python_version()}, {versions}"


def memory_mib() -> float:
    """Return the machine's memory in MiB."""
    return psutil.virtual_memory().total / 2**20


def peak_mib() -> float:
    """Return the peak resident memory of this process in MiB.

    Not `getrusage`: on Linux its figure begins with the peak of the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    [kib] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(kib) / 1024
