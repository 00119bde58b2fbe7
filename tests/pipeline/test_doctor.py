"""`mdr doctor` names what is wrong and what to do."""

import io
from importlib import metadata

from rich.console import Console

from pipeline import doctor


def findings(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "IMPORTS", ("keras_that_is_not_there",))
    return {finding.name: finding for finding in doctor.examine(tmp_path / "runs")}


def test_a_package_off_the_lock_and_a_broken_import_are_named(monkeypatch, tmp_path):
    lock = f"rich=={metadata.version('rich')} \\\n    --hash=sha256:0\npydantic==0.0.1 \\\nnot-there==1.0\n"
    (tmp_path / "requirements.lock").write_text(lock)
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    found = findings(monkeypatch, tmp_path)
    assert not found["versions"].good
    assert "1 of 3" in found["versions"].found
    assert "not-there missing (lock: 1.0)" in found["versions"].found
    assert not found["import keras_that_is_not_there"].good


def test_too_little_memory_and_disk_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "MIN_MEMORY_GIB", 10**6)
    monkeypatch.setattr(doctor, "MIN_DISK_GIB", 10**9)
    bad = [finding for finding in findings(monkeypatch, tmp_path).values() if not finding.good]
    assert {"memory", "disk"} <= {finding.name.split(",")[0] for finding in bad}
    assert all(finding.advice for finding in bad)


def test_show_counts_the_faults():
    console = Console(file=io.StringIO(), width=200)
    good = doctor.Finding("a", True, "fine")
    assert doctor.show(iter([good]), console)
    assert not doctor.show(iter([good, doctor.Finding("b", False, "broken", "mend it.")]), console)
    assert "mend it." in console.file.getvalue()
    assert "1 to mend" in console.file.getvalue()
