"""`mdr bench search`: what AREAD's mask search adds to the training, side by side and as the paper's loop."""

import statistics
import time
from collections.abc import Callable

import keras

from models.settings import LearningSettings, ModelSettings
from pipeline.bench.machine import machine
from pipeline.bench.prepare import Prepared

BATCH, EMBEDDING = 1024, 32  # AREAD's, section 3.1; all else of it are defaults
CHUNKS = 8  # compiled calls of a measurement


def run(
    prepared: Prepared, model: ModelSettings, learning: LearningSettings, repeat: int, say: Callable
) -> dict:
    """Measure training steps and searches in turn, at the paper's settings.

    Args:
        prepared: the columns of a suite. model: of the architecture `aread`.
        learning: for all but the method and the batch size.
        repeat: measurements; medians are returned. say: told what is measured.

    Returns:
        `domains`; `training_s`, the seconds of the `m` batches between two searches; `search_s` and `loop_s`,
        those of a search by `BatchedSearch` and by `SequentialSearch`; `search_share` and `loop_share`, both
        as a share of `training_s`.
    """
    from models.architectures.base import create_model
    from models.trainer import create_method

    spec, columns = prepared.load()
    built = create_model(spec, model.model_copy(update={"embedding_dim": EMBEDDING}), learning.embedding_l2)
    methods = {}
    for searched in ("experts", "all"):
        own = {"method": "hemp", "settings": {"searched": searched}, "batch_size": BATCH}
        keras.utils.set_random_seed(learning.seed)
        methods[searched] = create_method(
            built, columns["train"], learning.model_copy(update=own), columns["augmented"]
        )
    m = methods["experts"].settings.m
    times = {"training": [], "experts": [], "all": []}
    for measurement in range(repeat + 1):  # the first one compiles
        say("training")
        times["training"].append(_step_seconds(methods["experts"]) * m)
        for searched, method in methods.items():
            if searched == "all" and measurement > 1:
                continue  # the loop takes long: once to compile, once to measure
            say(f"search, {searched}")
            method.calls = 1
            started = time.perf_counter()
            method.search()
            times[searched].append(time.perf_counter() - started)
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    training = medians["training"]
    return {
        "domains": spec.n_domains,
        "training_s": round(training, 2),
        "search_s": round(medians["experts"], 2),
        "search_share": round(medians["experts"] / training, 3),
        "loop_s": round(medians["all"], 2),
        "loop_share": round(medians["all"] / training, 3),
    }


def _step_seconds(method) -> float:
    """Return the seconds of a training step, feeding included."""
    rows, started = 0, time.perf_counter()
    for calls, trained in enumerate(method.train_mixed(0), start=1):
        rows += trained.rows
        if calls == CHUNKS:
            break
    return (time.perf_counter() - started) / (rows / BATCH)


def markdown(figures: dict, suite: str, command: str) -> str:
    """Return the figures of `run` as a section of a Markdown page."""
    f = figures
    lines = [
        f"## What AREAD's mask search adds to the training, on {suite}",
        "",
        f"{f['domains']} domains, 10 candidates of each, 5 steps on {BATCH:,} rows for each candidate; a"
        f" search every 2,000 batches of {BATCH:,} rows, which take {f['training_s']:,} s.",
        "",
        "| search | seconds | share of the training |",
        "|---|---|---|",
        f"| side by side, experts and gates move | {f['search_s']:,} | {f['search_share']:.1%} |",
        f"| the paper's loop, everything moves | {f['loop_s']:,} | {f['loop_share']:.1%} |",
    ]
    return "\n".join([*lines, "", f"`{command}`", "", f"Machine: {machine()}."])
