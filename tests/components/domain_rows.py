"""Transformed rows of a dominant domain and others that look different, for tests."""

from pathlib import Path

import numpy as np
from example_artifacts import artifact, write_examples
from tfx.types import standard_artifacts

from schema.log_schema import LogSchema

LOG = LogSchema.model_validate(
    {
        "domain": "channel",
        "label": {"column": "clicked"},
        "features": {
            "user": None,
            "tags": {"kind": "sequence", "max_length": 3},
            "hour": {"group": "context"},
            "price": {"kind": "numeric"},
            "owner": {"group": "domain"},
        },
    }
)
DOMAINS = ("home", "search", "mail", "shop")
SHARES = (0.6, 0.2, 0.15, 0.05)
SPLITS = ("train", "validation", "test")
USERS, HOURS = 30, 12


def make_rows(count: int, seed: int = 0, shares=SHARES, signal: float = 0.8) -> list[dict]:
    """Return transformed rows; `signal` is the share of rows whose hour says what they look like."""
    random = np.random.default_rng(seed)
    rows = []
    for domain in random.choice(len(shares), count, p=shares):
        looks = domain if domain else random.integers(1, len(shares))
        hour = 3 * (looks - 1) + random.integers(3) if random.random() < signal else random.integers(HOURS)
        rows.append(
            {
                "label": int(random.random() < 0.3),
                "channel": int(domain),
                "user": int(random.integers(USERS)),
                "tags": random.integers(0, 5, 3).tolist(),
                "hour": int(hour),
                "price": float(np.float32(random.normal())),
                "owner": int(domain),
            }
        )
    return rows


def transformed(
    folder: Path, rows: dict[str, list[dict]] | None = None, domains=DOMAINS, users: str = "u"
) -> dict:
    """Write what Transform would; return its two artifacts by name."""
    assets = folder / "graph" / "transform_fn" / "assets"
    assets.mkdir(parents=True)
    values = {
        "channel": domains,
        "user": [f"{users}{i}" for i in range(USERS)],
        "tags": "abcd",
        "hour": map(str, range(HOURS)),
        "owner": domains,
    }
    for name, some in values.items():
        (assets / name).write_text("\n".join(some) + "\n")
    given = rows or {split: make_rows(600 if split == "train" else 50, i) for i, split in enumerate(SPLITS)}
    return {
        "examples": write_examples(folder / "examples", given),
        "transform_graph": artifact(standard_artifacts.TransformGraph, folder / "graph"),
    }
