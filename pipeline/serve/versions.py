"""Watches a push target and always holds the newest version that can be served."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from absl import logging

from pipeline.serve.errors import NotServed
from pipeline.serve.served_model import Batching, LoadError, ServedModel

LOADING, AVAILABLE, END = "LOADING", "AVAILABLE", "END"
RETRY_SECONDS = 60  # after which a version that failed is tried again: memory may have been short


@dataclass(frozen=True)
class _Failure:
    """Why a version is passed over: the state of its files, the error, and when (`time.monotonic`)."""

    files: str
    error: str
    at: float


class Versions:
    """The served version of a push target.

    A newer one is loaded and warmed up beside the old one, then takes its place in one assignment; requests
    that the old one has begun end there, and it goes when the last of them has. One that fails is passed over
    until its files change (a folder that is still being copied is tried again), a minute is over, or the
    version that serves is taken away.

    Args:
        target: the push target. name: of the model. batching: how requests are merged.
        changed: told the number of each version that starts to serve.
    """

    def __init__(
        self,
        target: Path,
        name: str,
        batching: Batching,
        changed: Callable[[int], None] = lambda number: None,
    ):
        self.target, self.name = target, name
        self._batching, self._changed = batching, changed
        self._current: ServedModel | None = None
        self._failed: dict[int, _Failure] = {}
        self._taken_away = False  # whether the version that serves is no longer in the target
        self._states: dict[int, tuple[str, str]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, poll_seconds: float) -> None:
        """Load the newest version and go on looking for newer ones.

        Raises:
            ValueError: no version of the target can be served.
        """
        if (self.target / "saved_model.pb").is_file():
            raise ValueError(
                f"{self.target} is a version itself; give the folder of versions, {self.target.parent}."
            )
        self.look()
        if self._current is None:
            errors = "; ".join(failure.error for failure in self._failed.values())
            raise ValueError(
                f"{self.target} holds no version that can be served"
                + (f": {errors}" if errors else "; mdr run pushes one.")
            )
        self._thread = threading.Thread(target=self._watch, args=[poll_seconds], daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def get(self, name: str, number: int | None = None) -> ServedModel:
        """Return the version that serves.

        Raises:
            NotServed: another model or version is asked for.
        """
        served = self._current
        if name != self.name or served is None:
            raise NotServed(f"Servable not found for request: Latest({name}); this server has {self.name!r}.")
        if number is not None and number != served.number:
            raise NotServed(
                f"Servable not found for request: Specific({name}, {number}); version {served.number} serves."
            )
        return served

    def states(self, name: str, number: int | None = None) -> dict[int, tuple[str, str]]:
        """Return state and error of all versions, or of one, that this server has seen, newest first.

        Raises:
            NotServed: another model or version is asked for.
        """
        seen = {n: state for n, state in sorted(self._states.items(), reverse=True) if number in (None, n)}
        if name != self.name or not seen:
            raise NotServed(f"Could not find any versions of model {name}")
        return seen

    def look(self) -> None:
        """Serve the newest version of the target that can be served, if it does not serve already."""
        there = _folders(self.target)
        was_there = not self._taken_away
        self._taken_away = self._current is not None and self._current.number not in there
        if self._taken_away and was_there:  # a rollback counts on the one before, even if that failed once
            self._failed.clear()
        self._failed = {number: failure for number, failure in self._failed.items() if number in there}
        for number, folder in sorted(there.items(), reverse=True):
            if self._current is not None and number == self._current.number:
                return
            files = _state_of_files(folder)
            if not self._passed_over(number, files) and self._load(number, folder, files):
                return

    def _passed_over(self, number: int, files: str) -> bool:
        failure = self._failed.get(number)
        return (
            failure is not None and failure.files == files and time.monotonic() - failure.at < RETRY_SECONDS
        )

    def _load(self, number: int, folder: Path, files: str) -> bool:
        self._states[number] = (LOADING, "")
        try:
            loaded = ServedModel(folder, self._batching)
        except LoadError as error:
            logging.error("version %d is not served: %s", number, error)
            self._failed[number] = _Failure(files, str(error), time.monotonic())
            self._states[number] = (END, str(error))
            return False
        old, self._current = self._current, loaded
        self._states[number] = (AVAILABLE, "")
        if old is not None:
            self._states[old.number] = (END, "")
        self._changed(number)
        return True

    def _watch(self, poll_seconds: float) -> None:
        while not self._stop.wait(poll_seconds):
            try:
                self.look()
            except Exception as error:  # a target that is out of reach for a while must not end the watch
                logging.error("cannot look into %s: %s", self.target, error)


def _folders(target: Path) -> dict[int, Path]:
    there = target.iterdir() if target.is_dir() else ()
    return {int(place.name): place for place in there if place.name.isdecimal() and place.is_dir()}


def _state_of_files(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return repr([(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files])
