"""`mdr bench augmenter`: how probable augmented rows truly are, on logs whose truth is known."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions

from components.counterfactual_augmenter.augment import SOURCE_DOMAIN, AugmentRows
from components.counterfactual_augmenter.plan import read_plan
from components.counterfactual_augmenter.settings import AugmentationSettings
from components.item_popularity.popularity import CountItems, write_popularity
from components.log_example_gen.transform import IngestLogs, sources
from pipeline.bench.machine import machine
from pipeline.config import BeamSettings, Config, load
from schema.log_schema import TIME
from schema.sample.generate import DEVICE_NAMES, FIRST_DAY, channel_names
from schema.sample.truth import Truth
from schema.sample.write import read_model, write

PAIRS = 20  # random pairs that each augmented row is compared with
RESAMPLES = 1000  # of the bootstrap
INTERVAL = (2.5, 97.5)  # percentiles
VERSUS = (("random", "lift"), ("same_item", "lift_same_item"))
COLUMNS = 10  # of the table


def run(rhos: list[float], rows: int, domains: int, seed: int, done: Callable[[dict], None]) -> list[dict]:
    """Augment the training split of generated logs at several thresholds and look up the truth.

    Args:
        rhos: thresholds of the popularity p(i). rows, domains, seed: of the logs.
        done: told each figure as it comes.

    Returns:
        For each threshold the figures of `judge`, with `rho`, `items` (how many are unpopular) and `rows`.
    """
    figures = []
    with tempfile.TemporaryDirectory() as place:
        sample = write(Path(place) / "sample", rows=rows, domains=domains, seed=seed)
        config, truth = load(sample / "config.yaml"), read_model(sample)
        folder = Path(place) / "popularity"
        folder.mkdir()
        train = ingest_and_count(config, Path(place) / "examples", folder)
        for rho in rhos:
            settings = AugmentationSettings(rho=rho)
            made = augment(config, train, folder, settings, Path(place) / f"augmented-{rho}")
            items = read_plan(str(folder), settings).unpopular.num_rows
            figures.append({"rho": rho, "items": items, "rows": len(made)} | judge(made, config, truth))
            done(figures[-1])
    return figures


def ingest_and_count(config: Config, examples: Path, popularity: Path) -> list[str]:
    """Run LogExampleGen's and ItemPopularity's transforms; return the files of the training split."""
    with _pipeline() as pipeline:
        pieces = pipeline | beam.Create(sources(config.data))
        _ = pieces | IngestLogs(str(examples), config.log, config.split)
    train = sorted(map(str, (examples / "Split-train").glob("*.gz")))
    with _pipeline() as pipeline:
        counts = pipeline | beam.Create(train) | CountItems(config.log)
        _ = counts | beam.Map(write_popularity, str(popularity))
    return train


def augment(
    config: Config, train: list[str], popularity: Path, settings: AugmentationSettings, out: Path
) -> list[bytes]:
    """Run the augmenter's transform and return the serialized rows that it made."""
    with _pipeline() as pipeline:
        plan = pipeline | "Counts" >> beam.Create([str(popularity)]) | beam.Map(read_plan, settings)
        _ = pipeline | beam.Create(train) | AugmentRows(plan, str(out), config.log, settings.seed)
    files = sorted(map(str, out.glob("*.gz")))
    return list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())


def judge(made: list[bytes], config: Config, truth: Truth) -> dict:
    """Compare augmented rows with random pairs in the same domains, on the same days, devices and hours.

    Args:
        made: serialized augmented rows. config: of the logs. truth: where their clicks come from.

    Returns:
        `sources` (different rows that were copied); the mean true click probabilities `augmented`, `random`
        (any user, any item) and `same_item` (any user, the row's item); `lift` and `lift_same_item`, the
        ratios to the latter two, each as value, lower and upper end of a bootstrap interval over the rows
        that were copied; `interest`, the mean of that part of the logit (about 0 over random pairs). Without
        rows `sources` alone, 0.
    """
    if not made:
        return {"sources": 0}
    log = config.log
    names = (log.user, log.item, log.domain, SOURCE_DOMAIN, "device", "hour")
    features = {name: tf.io.FixedLenFeature([], tf.string) for name in names}
    features[TIME] = tf.io.FixedLenFeature([], tf.int64)
    row = {name: value.numpy() for name, value in tf.io.parse_example(made, features).items()}
    user, item, hour = (row[name].astype(int) for name in (log.user, log.item, "hour"))
    domain = _index(row[log.domain], channel_names(truth.domains))
    device, day = _index(row["device"], DEVICE_NAMES), (row[TIME] - FIRST_DAY) // 86_400
    context = {"days": day, "devices": device, "hours": hour}
    random = np.random.default_rng(0)
    shape = (PAIRS, len(made))
    anyone, anything = random.integers(truth.users, size=shape), random.integers(truth.items, size=shape)
    probability = {
        "augmented": truth.probability(user, item, domain, **context),
        "random": truth.probability(anyone, anything, domain, **context).mean(axis=0),
        "same_item": truth.probability(anyone, item, domain, **context).mean(axis=0),
    }
    identity = np.stack([user, item, row[TIME], _index(row[SOURCE_DOMAIN], channel_names(truth.domains))])
    _, source = np.unique(identity, axis=1, return_inverse=True)
    sums = {name: np.bincount(source, values) for name, values in probability.items()}
    return {
        "sources": len(sums["augmented"]),
        **{name: float(values.mean()) for name, values in probability.items()},
        "lift": lift(sums["augmented"], sums["random"]),
        "lift_same_item": lift(sums["augmented"], sums["same_item"]),
        "interest": float(truth.interest(user, item).mean()),
    }


def lift(ours: np.ndarray, theirs: np.ndarray) -> list[float]:
    """Return the ratio of two sums with the ends of its bootstrap interval; the terms are drawn in pairs."""
    count = len(ours)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    low, high = np.percentile((drawn @ ours) / (drawn @ theirs), INTERVAL)
    return [float(ours.sum() / theirs.sum()), float(low), float(high)]


def markdown(figures: list[dict], rows: int, domains: int, command: str) -> str:
    """Return the figures of `run` as a section of a Markdown page."""
    lines = [
        "## What augmented rows are worth, on generated logs",
        "",
        f"The augmented rows of {rows:,} generated impressions in {domains} domains: their mean true click"
        " probability; that of random pairs in the same minor domains, on the same days, devices and hours"
        " (any user with any item, and any user with the row's own item); and the mean of the interest in"
        " their logit, which is about 0 over random pairs. In brackets: 95% bootstrap interval over the rows"
        " that were copied.",
        "",
        "| rho | unpopular items | rows | copied rows | augmented | random pair | lift | same item | lift"
        " | interest |",
        "|---" * COLUMNS + "|",
    ]
    for row in figures:
        start = f"| {row['rho']:g} | {row['items']:,} | {row['rows']:,} | {row['sources']:,} |"
        if not row["sources"]:
            lines.append(start + " – |" * (COLUMNS - 4))
            continue
        ends = [f"{row[name]:.3f} | {_interval(row[ratio])}" for name, ratio in VERSUS]
        lines.append(f"{start} {row['augmented']:.3f} | {' | '.join(ends)} | {row['interest']:+.3f} |")
    return "\n".join([*lines, "", f"`{command}`", "", f"Machine: {machine()}."])


def _interval(values: list[float]) -> str:
    return "{:.3f} ({:.3f}–{:.3f})".format(*values)


def _index(names: np.ndarray, known) -> np.ndarray:
    number = {name: i for i, name in enumerate(known)}
    return np.array([number[name.decode()] for name in names])


def _pipeline() -> beam.Pipeline:
    return beam.Pipeline(options=PipelineOptions(BeamSettings().pipeline_args))
