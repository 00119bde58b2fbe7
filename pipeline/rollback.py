"""Takes the newest version of a push target out of sight, so that the one before it serves again."""

import getpass
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from components.latest_blessed_model.versions import ROLLED_BACK, versions
from components.model_pusher.push import LOCK_SECONDS, reserve_number

LOG = "rollbacks.jsonl"


@dataclass(frozen=True)
class Rollback:
    """What was done.

    Attributes:
        version: the one that was taken away. serves: the one that serves now. moved_to: where its files are.
        who, why, at: by whom, for what reason, when (seconds since 1970).
        run_key: of the run that pushed it.
    """

    version: int
    serves: int
    moved_to: str
    who: str
    why: str
    at: float
    run_key: str


def roll_back(target: Path, why: str) -> Rollback:
    """Move the newest version out of sight and note it in `rollbacks.jsonl`; its number is not used again.

    Args:
        target: the push target. why: the reason, for those who read the log.

    Raises:
        ValueError: there is no version before it, or no reason is given.
    """
    if not why.strip():
        raise ValueError("say why, for those who read the log: --why 'clicks fell by a tenth'.")
    if not target.is_dir():
        raise ValueError(f"{target} is not a folder of pushed versions.")
    with FileLock(target / ".lock", timeout=LOCK_SECONDS):
        there = versions(target)
        if len(there) < 2:
            held = "no version" if not there else f"only version {there[0].number}"
            raise ValueError(f"{target} holds {held}; to roll back takes two, for one must serve.")
        newest, before = there[-1], there[-2]
        moved_to = target.absolute() / f"{ROLLED_BACK}{newest.number}"
        reserve_number(target, newest.number)
        done = Rollback(
            version=newest.number,
            serves=before.number,
            moved_to=str(moved_to),
            who=getpass.getuser(),
            why=why.strip(),
            at=time.time(),
            run_key=newest.run_key,
        )
        os.rename(newest.folder, moved_to)
        with open(target / LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps(asdict(done)) + "\n")
    return done
