"""The numbered versions in a push target."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

PUSH_FILE = "assets.extra/mdr_push.json"
ROLLED_BACK = ".rolled_back-"  # and its number: a version that `mdr rollback` took out of the servers' sight


@dataclass(frozen=True)
class Version:
    """One pushed version.

    Attributes:
        number: its number, which is its folder's name.
        folder: the SavedModel.
        run_key: of the run that pushed it; empty for a version that mdr did not push.
        fingerprint: of the model's files; empty likewise.
    """

    number: int
    folder: Path
    run_key: str
    fingerprint: str


def versions(push: Path | str) -> list[Version]:
    """Return the versions in a push target, oldest first; none where the target does not exist.

    Raises:
        ValueError: the file that the pusher left in a version is damaged.
    """
    folder = Path(push)
    found = []
    for place in folder.iterdir() if folder.is_dir() else ():
        if place.is_dir() and place.name.isdecimal():
            file = place / PUSH_FILE
            pushed = _read(file) if file.is_file() else {}
            run_key, fingerprint = pushed.get("run_key", ""), pushed.get("fingerprint", "")
            found.append(Version(int(place.name), place, run_key, fingerprint))
    return sorted(found, key=lambda version: version.number)


def _read(file: Path) -> dict:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}): restore that version, or move it away.") from None


def key_of_run(config_key: str, fingerprint: str, overrides: str = "") -> str:
    """Return the key of what a model is made from.

    Args:
        config_key: of config and code. fingerprint: of the input files.
        overrides: of the model's settings, given when the run was started.
    """
    return hashlib.sha256(json.dumps([config_key, fingerprint, overrides]).encode()).hexdigest()[:16]


def latest_version(push: Path | str, run_key: str) -> Version | None:
    """Return the newest version that another run pushed.

    A version of the very same run (same config, data and code) is passed over: when nothing has changed, a
    second run must come to the same decision, and not compare a model with itself.

    Args:
        push: the push target.
        run_key: of the run that asks.
    """
    others = [version for version in versions(push) if version.run_key != run_key]
    return others[-1] if others else None
