"""`mdr bench throughput`: samples per second of the feeding, of the compiled step, and of both together."""

import itertools
import statistics
import time
from collections.abc import Callable

import numpy as np

from models.settings import LearningSettings, ModelSettings
from pipeline.bench.machine import machine
from pipeline.bench.prepare import Prepared

CALLS = 3  # compiled calls per measurement, each of `CHUNK_STEPS` batches


def run(
    prepared: Prepared,
    models: dict[str, ModelSettings],
    batch_size: int,
    repeat: int,
    progress=lambda name: None,
) -> list[dict]:
    """Measure models on the prepared columns of a suite.

    Args:
        prepared: the columns. models: what is built, by name, such as `adi+d3`. batch_size: rows per step.
        repeat: measurements of each kind, in turn; medians are returned. progress: told each model's name.

    Raises:
        ValueError: too few rows for one compiled call.

    Returns:
        For each model: `model`, `feed_rows_per_s` (batches gathered and handed to the backend),
        `step_samples_per_s` (the compiled step on a batch that is there), `samples_per_s` (training),
        `parameters` and `fields`, the number of inputs with the domain.
    """
    from models.architectures.base import create_model
    from models.backend import create_steps
    from models.batches import CHUNK_STEPS, chunks
    from models.domain_classifier import untrained
    from models.trainer import create_optimizer

    features, columns = prepared.load()
    train = columns["train"]
    rows = batch_size * CHUNK_STEPS
    order = train.mixed(np.random.default_rng(0))
    if len(order) < rows:
        raise ValueError(
            f"{len(order):,} training rows are less than {CHUNK_STEPS} batches of {batch_size:,}."
        )
    orders = itertools.cycle(list(chunks(order[: len(order) // rows * rows], batch_size)))
    measured = []
    for name, settings in models.items():
        progress(name)
        learning = LearningSettings(batch_size=batch_size)
        model = create_model(features, settings, learning.embedding_l2, untrained(features))
        steps = create_steps(model, create_optimizer(learning))
        ready = steps.tensors(train.take(*next(orders)))
        kinds = {
            "feed_rows_per_s": lambda steps=steps: steps.tensors(train.take(*next(orders))),
            "step_samples_per_s": lambda steps=steps, ready=ready: steps.train(ready),
            "samples_per_s": lambda steps=steps: steps.train(train.take(*next(orders))),
        }
        rates = {kind: [] for kind in kinds}
        steps.train(ready)  # compiled before the clock starts
        for _, (kind, work) in itertools.product(range(repeat), kinds.items()):
            rates[kind].append(rows * CALLS / _seconds(work))
        measured.append(
            {
                "model": name,
                **{kind: round(statistics.median(values)) for kind, values in rates.items()},
                "parameters": int(sum(np.prod(weight.shape) for weight in model.trainable_variables)),
                "fields": len(features.fields) + 1,
            }
        )
    return measured


def markdown(figures: list[dict], suite: str, batch_size: int, command: str) -> str:
    """Return the figures of `run` as a section of a Markdown page."""
    lines = [
        f"## Training throughput on {suite}, batch {batch_size:,}",
        "",
        "| model | fields | parameters | feeding, rows/s | step alone, samples/s | training, samples/s |",
        "|---|---|---|---|---|---|",
    ]
    for row in figures:
        names = ("fields", "parameters", "feed_rows_per_s", "step_samples_per_s", "samples_per_s")
        lines.append(f"| {row['model']} | " + " | ".join(f"{row[name]:,}" for name in names) + " |")
    return "\n".join([*lines, "", f"`{command}`", "", f"Machine: {machine()}."])


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(CALLS):
        work()
    return time.perf_counter() - started
