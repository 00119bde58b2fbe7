"""Figures of work in progress, passed from a component's process to whoever watches the run."""

import json
import os
import time

PROGRESS_FILE = "MDR_PROGRESS"  # environment variable: path of the JSON-lines file; unset, nothing is written


def report(component: str, **figures) -> None:
    """Append one line of figures of a running component.

    Args:
        component: name of the component as it stands in the graph, such as `Trainer`.
        **figures: JSON-able values, such as `rows=1000` or `loss=0.52`.
    """
    path = os.environ.get(PROGRESS_FILE)
    if path:
        line = json.dumps({"component": component, "at": time.time(), **figures})
        with open(path, "a", encoding="utf-8") as progress:
            progress.write(line + "\n")
