"""`mdr bench weights`: what a matrix for every row costs, exactly and in its low-rank form (D3)."""

import statistics
import time
from collections.abc import Callable

import numpy as np

from pipeline.bench.machine import machine

STEPS = 2  # batches of a compiled call
UNITS = 128  # of the layer alone: what ADI has by default
FORMS = {"exact": {"rank": None}, "low rank": {}}
PARTS = {"fusion": True, "balance": False}  # the loss weights cost the same in both forms


def run(fields: int, dim: int, hidden: int, batch_size: int, repeat: int, say: Callable) -> list[dict]:
    """Measure either form of D3's generated layer, alone and within ADI, on the same rows, in turn.

    Args:
        fields: besides the domain. dim: width of an embedding. hidden: see `TransformationLayer`.
        batch_size: rows per step. repeat: measurements; medians are returned. say: told what is measured.

    Returns:
        For each form: `form`, `parameters`, `layer_samples_per_s` (the layer alone, forward and back),
        `samples_per_s` (whole optimizer steps of the model), and `layer_ratio` and `ratio`, the medians over
        the turns of these to those of the exact form.
    """
    from models.backend import create_steps
    from models.trainer import create_optimizer

    spec, batches = _rows(fields, batch_size)
    steps, layers, parameters = {}, {}, {}
    rates, layer_rates = ({form: [] for form in FORMS} for _ in range(2))
    for form, own in FORMS.items():
        say(f"compiles {form}")
        model, learning = _model(spec, dim, {**PARTS, "hidden": hidden, **own}, batch_size)
        parameters[form] = int(sum(np.prod(weight.shape) for weight in model.trainable_variables))
        steps[form] = create_steps(model, create_optimizer(learning))
        steps[form].train(batches)
        layers[form] = _layer(fields + 1, dim, hidden, own, batch_size)
    for turn in range(repeat):
        for form in FORMS:
            say(f"{form}, {turn + 1} of {repeat}")
            started = time.perf_counter()
            steps[form].train(batches)
            between = time.perf_counter()
            for _ in range(STEPS):
                layers[form]()
            rates[form].append(STEPS * batch_size / (between - started))
            layer_rates[form].append(STEPS * batch_size / (time.perf_counter() - between))
    return [
        {
            "form": form,
            "parameters": parameters[form],
            "layer_samples_per_s": round(statistics.median(layer_rates[form])),
            "layer_ratio": _ratio(layer_rates, form),
            "samples_per_s": round(statistics.median(rates[form])),
            "ratio": _ratio(rates, form),
        }
        for form in FORMS
    ]


def _ratio(rates: dict[str, list[float]], form: str) -> float:
    return round(statistics.median(map(float.__truediv__, rates[form], rates["exact"])), 2)


def _layer(fields: int, dim: int, hidden: int, own: dict, batch_size: int) -> Callable:
    """Return what computes a generated layer and its gradients, as wide as that of the model."""
    import tensorflow as tf

    from models.layers.transformation import TransformationLayer

    random = np.random.default_rng(0)
    rows = tf.constant(random.normal(size=(batch_size, fields, dim)), tf.float32)
    x, gates = tf.reshape(rows, (batch_size, -1)), tf.fill((batch_size, 2), 0.5)
    layer = TransformationLayer(UNITS, hidden, **own)
    layer.build(x.shape, rows.shape, gates.shape)

    @tf.function(autograph=False)
    def compute():
        with tf.GradientTape() as tape:
            tape.watch([x, rows, gates])
            total = tf.reduce_sum(layer(x, rows, gates))
        return tape.gradient(total, [*(weight.value for weight in layer.trainable_weights), x, rows, gates])

    compute()
    return compute


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
        f" {batch_size:,}, both forms in turn: the layer alone ({UNITS} wide, forward and back), and whole"
        " optimizer steps of the model.",
        "",
        "| form | parameters | layer alone, samples/s | to the exact form"
        " | whole steps, samples/s | to the exact form |",
        "|---|---|---|---|---|---|",
    ]
    for row in figures:
        cells = [row["form"], f"{row['parameters']:,}"]
        for kind in ("layer_", ""):
            cells += [f"{row[f'{kind}samples_per_s']:,}", f"{row[f'{kind}ratio']:,} x"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"`{command}`", "", f"Machine: {machine()}."])
