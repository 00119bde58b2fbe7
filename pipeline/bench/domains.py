"""`mdr bench domains`: what a training step costs as the number of domains grows."""

import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from models.features import FeatureSpec, InputField
from models.settings import LearningSettings, ModelSettings
from pipeline.bench.machine import machine, memory_mib, peak_mib

FIELDS, VALUES = 7, 2000  # of the generated rows
FEW = 10  # domains of the batch that stays the same
STEPS = 4  # of one compiled call
SLOWEST_MS = 2000  # a model that grows beyond this with the number of domains is not measured further
TAIL = 1.1  # a domain's share falls with its rank to this power


def run(
    models: list[str], counts: list[int], batch_size: int, repeat: int, done: Callable[[dict], None]
) -> list[dict]:
    """Measure every model at every number of domains, each model in a process of its own.

    Args:
        models: architectures, with their default settings. counts: numbers of domains, ascending.
        batch_size: rows per step. repeat: compiled calls; medians are returned.
        done: told each figure as it comes.

    Returns:
        For each model and count: `model`, `domains`, `same_batch_ms` (a step on the same rows of 10 domains,
        whatever the number of domains in the model), `all_domains_ms` (a step on rows of all domains, in a
        long tail), `peak_mb` (MiB, of the process so far) and `parameters`.
    """
    context = multiprocessing.get_context("spawn")
    figures = []
    for model in models:
        with ProcessPoolExecutor(1, mp_context=context) as process:
            own = []
            for count in counts:
                if too_slow(own) or too_large(own, count):
                    break
                own.append(process.submit(measure, model, count, batch_size, repeat).result())
                done(own[-1])
            figures += own
    return figures


def too_slow(measured: list[dict]) -> bool:
    """Return whether a step at the next count would take too long, going by how the last two differ."""
    if len(measured) < 2:
        return False
    before, last = measured[-2:]
    growth = last["same_batch_ms"] / before["same_batch_ms"]
    return growth > 2 and last["same_batch_ms"] * growth > SLOWEST_MS


def too_large(measured: list[dict], count: int) -> bool:
    """Return whether a number of domains would need more memory than there is, going by the last two."""
    if len(measured) < 2:
        return False
    before, last = measured[-2:]
    per_domain = (last["peak_mb"] - before["peak_mb"]) / (last["domains"] - before["domains"])
    return last["peak_mb"] + per_domain * (count - last["domains"]) > memory_mib()


def measure(architecture: str, count: int, batch_size: int, repeat: int) -> dict:
    """Measure one model in this process; see `run`."""
    from models.architectures.base import create_model
    from models.backend import create_steps
    from models.domain_classifier import untrained
    from models.trainer import create_optimizer

    spec = generated_spec(count)
    learning = LearningSettings(batch_size=batch_size)
    settings = ModelSettings(architecture=architecture)
    model = create_model(spec, settings, learning.embedding_l2, untrained(spec))
    steps = create_steps(model, create_optimizer(learning))
    return {
        "model": architecture,
        "domains": count,
        "same_batch_ms": _step_ms(steps, _chunk(spec, min(FEW, count), batch_size), repeat),
        "all_domains_ms": _step_ms(steps, _chunk(spec, count, batch_size), repeat),
        "peak_mb": round(peak_mib()),
        "parameters": int(sum(np.prod(weight.shape) for weight in model.trainable_variables)),
    }


def generated_spec(count: int) -> FeatureSpec:
    """Return inputs with so many domains."""
    fields = tuple(InputField(name=f"field_{i}", kind="categorical", size=VALUES) for i in range(FIELDS))
    domains = tuple(f"domain_{i}" for i in range(count))
    return FeatureSpec(fields=fields, domain="domain", domains=domains)


def _chunk(spec: FeatureSpec, domains: int, batch_size: int) -> dict[str, np.ndarray]:
    """Return random rows whose domains come in a long tail."""
    random = np.random.default_rng(0)
    shape = (STEPS, batch_size)
    share = (1.0 + np.arange(domains)) ** -TAIL
    chunk = {field.name: random.integers(0, field.size, shape).astype("int32") for field in spec.fields}
    chunk[spec.domain] = random.choice(domains, shape, p=share / share.sum()).astype("int32")
    return {**chunk, "label": random.integers(0, 2, shape).astype("float32")}


def _step_ms(steps, chunk: dict[str, np.ndarray], repeat: int) -> float:
    ready = steps.tensors(chunk)
    steps.train(ready)  # compiled before the clock starts
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        steps.train(ready)
        times.append((time.perf_counter() - started) / STEPS * 1000)
    return round(statistics.median(times), 2)


def markdown(figures: Iterable[dict], batch_size: int, command: str) -> str:
    """Return the figures of `run` as a section of a Markdown page."""
    lines = [
        f"## Step time and memory by number of domains, batch {batch_size:,}",
        "",
        "A step on the same rows of 10 domains, and on rows of all domains in a long tail, in ms (in brackets"
        " the ratio to the first column); peak memory of the process in MiB. Empty: the step or the memory"
        f" grows with all domains, and would take more than {SLOWEST_MS / 1000:g} s or than the machine has.",
    ]
    for title, name in (
        ("same rows of 10 domains", "same_batch_ms"),
        ("rows of all domains", "all_domains_ms"),
        ("peak memory, MiB", "peak_mb"),
        ("parameters", "parameters"),
    ):
        table = {
            model: {row["domains"]: row[name] for row in rows}
            for model, rows in itertools.groupby(figures, lambda row: row["model"])
        }
        counts = list(dict.fromkeys(row["domains"] for row in figures))
        lines += [
            "",
            f"| {title} |" + "".join(f" {count:,} |" for count in counts),
            "|---" * (len(counts) + 1) + "|",
        ]
        for model, values in table.items():
            cells = [_cell(values, count, counts[0], name) for count in counts]
            lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", f"`{command}`", "", f"Machine: {machine()}."])


def _cell(values: dict[int, float], count: int, first: int, name: str) -> str:
    if count not in values:
        return ""
    value = values[count]
    shown = f"{value:,}"
    return f"{shown} ({value / values[first]:.2f})" if name.endswith("ms") and count != first else shown
