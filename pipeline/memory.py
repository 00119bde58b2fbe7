"""How much memory a piece of work takes while it runs."""

import threading

import psutil

POLL_SECONDS = 0.2


class PeakMemory:
    """Watches the resident memory of this process and of all that it started, inside a `with` block.

    Attributes:
        mib: the most seen so far, in MiB.
    """

    def __init__(self):
        self.mib = 0.0
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._look()
        self._watcher.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        self._watcher.join()
        self._look()

    def _watch(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self._look()

    def _look(self) -> None:
        process = psutil.Process()
        total = process.memory_info().rss
        for child in process.children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.NoSuchProcess:  # it ended meanwhile
                continue
        self.mib = max(self.mib, total / 2**20)
