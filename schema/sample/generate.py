"""Draws impressions and clicks from the true model."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from schema.sample.truth import DEVICES, Truth

FIRST_DAY = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
DEVICE_NAMES = np.array(["phone", "desktop", "tablet"])
DEVICE_SHARES = np.array([0.6, 0.3, 0.1])
MISSING_PRICES = 0.02
assert len(DEVICE_NAMES) == DEVICES


@dataclass(frozen=True)
class Sample:
    """Generated logs, in the order of time.

    Attributes:
        log: the impressions as a log holds them: user_id, item_id, channel, segment, category, tags, price,
            device, hour, timestamp, clicked.
        truth: of the same rows: the ids, `probability`, the true click probability, and `interest`, the part
            of its logit that is the same in every domain.
        model: where the clicks come from.
    """

    log: pa.Table
    truth: pa.Table
    model: Truth


def long_tail(domains: int) -> np.ndarray:
    """Return each domain's share of the rows: nearly half of the domains hold less than 2% together.

    AREAD (Figure 1) finds 12 such domains among the 25 of the Amazon data set.

    Returns:
        `(domains,)`, largest first, summing to 1.
    """
    minors = domains * 12 // 25
    majors = (1.0 + np.arange(domains - minors)) ** -1.1
    tail = np.geomspace(7.0, 1.0, minors) if minors else np.zeros(0)
    small = 0.019 if minors else 0.0
    return np.concatenate([majors / majors.sum() * (1 - small), tail / max(tail.sum(), 1.0) * small])


def channel_names(domains: int) -> list[str]:
    """Return the domains' names, `channel_01` being the first."""
    return [f"channel_{number:02d}" for number in range(1, domains + 1)]


def generate(
    rows: int, domains: int = 25, days: int = 14, seed: int = 0, shares: list[float] | None = None
) -> Sample:
    """Generate the logs of some days.

    Args:
        rows: number of impressions; every domain has at least two a day.
        domains: how many; taken from `shares` where they are given.
        days: how many, from 2024-01-01 on.
        seed: the same arguments give the same logs.
        shares: each domain's share in any unit, instead of AREAD's long tail.

    Raises:
        ValueError: a share is not positive, or the rows do not suffice.
    """
    portions = long_tail(domains) if shares is None else np.asarray(shares, float)
    if not (portions > 0).all():
        raise ValueError(f"shares are {portions.tolist()}: each must be greater than 0.")
    counts = _row_counts(portions, rows, least=2 * days)
    model = Truth(
        users=max(50, rows // 60), items=max(50, rows // 100), domains=len(counts), days=days, seed=seed
    )
    random = np.random.default_rng([seed, 1])
    drawn = [_impressions(model, domain, count, random) for domain, count in enumerate(counts)]
    columns = {name: np.concatenate([part[name] for part in drawn]) for name in drawn[0]}
    order = np.argsort(columns["second"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    return _tables(model, columns, random)


def _row_counts(portions: np.ndarray, rows: int, least: int) -> np.ndarray:
    counts = np.maximum(np.round(portions / portions.sum() * rows).astype(int), least)
    counts[counts.argmax()] += rows - counts.sum()
    if counts.min() < least:
        raise ValueError(
            f"{rows:,} rows are too few for {len(counts)} domains with at least {least} rows each;"
            f" ask for {2 * least * len(counts):,} or more."
        )
    return counts


def _impressions(model: Truth, domain: int, count: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw who sees what and when in one domain, every day alike."""
    audience = model.part("activity") * np.exp(random.standard_normal(12)[model.part("segment")])
    favour = np.exp(model.part("taste")[domain][model.part("category")])
    day = np.floor((np.arange(count) + random.random(count)) * model.days / count).astype(int)
    evening = 0.5 + 0.5 * np.cos((np.arange(24) - 20) * (2 * np.pi / 24)) + 0.2
    hour = _draw(evening, count, random)
    return {
        "domain": np.full(count, domain),
        "user": _draw(audience, count, random),
        "item": _draw(model.part("exposure") * favour, count, random),
        "device": _draw(DEVICE_SHARES, count, random),
        "day": day,
        "hour": hour,
        "second": day * 86_400 + hour * 3_600 + random.integers(3_600, size=count),
    }


def _draw(weights: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    ends = np.cumsum(weights)
    return np.searchsorted(ends, random.random(count) * ends[-1], side="right").clip(max=len(ends) - 1)


def _tables(model: Truth, columns: dict[str, np.ndarray], random: np.random.Generator) -> Sample:
    user, item, domain = columns["user"], columns["item"], columns["domain"]
    probability = model.probability(
        user, item, domain, days=columns["day"], devices=columns["device"], hours=columns["hour"]
    )
    names = np.array([f"tag_{number:02d}" for number in range(model.part("tags").shape[1])])
    tags = pa.array(["|".join(names[has]) for has in model.part("tags")])
    price = np.round(20 * np.exp(0.7 * model.part("price")), 2)
    ids = {
        "user_id": pa.array(user),
        "item_id": pa.array(item),
        "channel": pa.array(channel_names(model.domains)).take(pa.array(domain)),
        "timestamp": pa.array(FIRST_DAY + columns["second"]),
    }
    log = {
        **ids,
        "segment": pa.array(model.part("segment")[user]),
        "category": pa.array(model.part("category")[item]),
        "tags": tags.take(ids["item_id"]),
        "price": pa.array(price[item], mask=random.random(len(item)) < MISSING_PRICES),
        "device": pa.array(DEVICE_NAMES[columns["device"]]),
        "hour": pa.array(columns["hour"]),
        "clicked": pa.array((random.random(len(item)) < probability).astype(int)),
    }
    truth = {**ids, "probability": pa.array(probability), "interest": pa.array(model.interest(user, item))}
    return Sample(pa.table(log), pa.table(truth), model)
