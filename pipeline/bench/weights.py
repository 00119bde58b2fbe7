"""`mdr bench weights`: what a matrix for every row costs, exactly and in its low-rank form (D3)."""

import statistics
import time
from collections.abc import Callable

import numpy as np

from pipeline.bench.machine import machine

STEPS = 2  # batches of a compiled call
FORMS = {"exact": {"rank": None}, "low rank": {}}
PARTS = {"fusion": True, "balance": False}  # the loss weights cost the same in both forms


def run(fields: int, dim: int, hidden: int, batch_size: int, repeat: int, say: Callable) -> list[dict]:
    """Measure ADI with either form of D3's generated layer on the same batch, in turn.

    Args:
        fields: besides the domain. dim: width of an embedding. hidden: see `TransformationLayer`.
        batch_size: rows per step. repeat: measurements; medians are returned. say: told what is measured.

    Returns:
        For each form: `form`, `parameters`, `samples_per_s` of whole optimizer steps, and `ratio`, the median
        over the turns of its rate to that of the exact form.
    """
    from models.backend import create_steps
    from models.trainer import create_optimizer

    spec, batches = _rows(fields, batch_size)
    steps, rates, parameters = {}, {form: [] for form in FORMS}, {}
    for form, own in FORMS.items():
        say(f"compiles {form}")
        model, learning = _model(spec, dim, {**PARTS, "hidden": hidden, **own}, batch_size)
        parameters[form] = int(sum(np.prod(weight.shape) for weight in model.trainable_variables))
        steps[form] = create_steps(model, create_optimizer(learning))
        steps[form].train(batches)
    for turn in range(repeat):
        for form, one in steps.items():
            say(f"{form}, {turn + 1} of {repeat}")
            started = time.perf_counter()
            one.train(batches)
            rates[form].append(STEPS * batch_size / (time.perf_counter() - started))
    return [
        {
            "form": form,
            "parameters": parameters[form],
            "samples_per_s": round(statistics.median(rates[form])),
            "ratio": round(statistics.median(map(float.__truediv__, rates[form], rates["exact"])), 2),
        }
        for form in FORMS
    ]


def _rows(fields: int, batch_size: int):
    """Return a spec of categorical fields, and random batches of it."""
    from models.features import FeatureSpec, InputField

    names = [f"field_{i}" for i in range(fields)]
    spec = FeatureSpec(
        fields=tuple(InputField(name=name, kind="categorical", size=1000) for name in names),
        domain="domain",
        domains=("first", "second", "third"),
    )
    random, shape = np.random.default_rng(0), (STEPS, batch_size)
    batches = {name: random.integers(0, 1000, shape, "int32") for name in names}
    batches["domain"] = random.integers(0, 3, shape, "int32")
    return spec, {**batches, "label": random.integers(0, 2, shape).astype("float32")}


def _model(spec, dim: int, own: dict, batch_size: int):
    """Return ADI with D3 of these settings, and the settings of its training."""
    from models.architectures.base import create_model
    from models.settings import LearningSettings, ModelSettings

    learning = LearningSettings(batch_size=batch_size)
    settings = ModelSettings(
        architecture="adi", plugins=("d3",), plugin_settings={"d3": own}, embedding_dim=dim
    )
    return create_model(spec, settings, learning.embedding_l2), learning


def markdown(figures: list[dict], fields: int, dim: int, hidden: int, batch_size: int, command: str) -> str:
    """Return the figures of `run` as a section of a Markdown page."""
    lines = [
        "## What generated weights cost (D3)",
        "",
        f"ADI with D3, {fields} fields of {dim}, {hidden} values of each field in H, batches of"
        f" {batch_size:,}: whole optimizer steps, both forms in turn.",
        "",
        "| form | parameters | samples/s | to the exact form |",
        "|---|---|---|---|",
    ]
    for row in figures:
        cells = (row["form"], f"{row['parameters']:,}", f"{row['samples_per_s']:,}", f"{row['ratio']:,} x")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"`{command}`", "", f"Machine: {machine()}."])
