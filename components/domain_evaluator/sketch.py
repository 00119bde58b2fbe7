"""What the metrics of a slice are computed from: small, exact where it can be, and added up on any worker."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

GROUPS = 20  # of users, each left out once by the jackknife
BUCKETS, LIMIT = 1 << 19, 12.0  # of a prediction's log odds, between -LIMIT and LIMIT
LEAST = 1e-7  # predictions are kept this far from 0 and 1 in the log loss, as Keras and TFMA do


@dataclass(frozen=True)
class Sketch:
    """Sums over the rows of one slice, by group of users and for each of M models.

    Attributes:
        counts: rows and positives, `(GROUPS, 2)`.
        sums: log loss, predictions, and for GAUC the weighted AUCs of users and their weights,
            `(M, GROUPS, 4)`.
        places: of each model the bins with rows, sorted, `group * BUCKETS + bucket`.
        clicks: of each model the negatives and positives in those bins, `(bins, 2)`.
    """

    counts: np.ndarray
    sums: np.ndarray
    places: tuple[np.ndarray, ...]
    clicks: tuple[np.ndarray, ...]


def add_up(sketches: Iterable[Sketch]) -> Sketch:
    """Return the sketch of the rows of all."""
    parts = list(sketches)
    places, clicks = [], []
    for model in range(len(parts[0].places)):
        place, where = np.unique(np.concatenate([part.places[model] for part in parts]), return_inverse=True)
        click = np.zeros((len(place), 2), np.int64)
        np.add.at(click, where, np.concatenate([part.clicks[model] for part in parts]))
        places.append(place)
        clicks.append(click)
    counts, sums = (sum(getattr(part, name) for part in parts) for name in ("counts", "sums"))
    return Sketch(counts, sums, tuple(places), tuple(clicks))


def sketch_slices(
    slices: np.ndarray, label: np.ndarray, predictions: np.ndarray, user: np.ndarray
) -> Iterator[tuple[int, Sketch]]:
    """Yield the sketch of each slice that has rows.

    Args:
        slices: index of each row's slice, `(rows,)`. label: 0 or 1. predictions: `(M, rows)`.
        user: hash of each row's user, unsigned; all rows of a user must be here, for GAUC is of users.
    """
    order = np.argsort(slices, kind="stable")
    slices, label, predictions, user = slices[order], label[order], predictions[:, order], user[order]
    present, where = np.unique(slices, return_inverse=True)
    cells = where * GROUPS + (user % GROUPS).astype(np.int64)
    shape = (len(present), GROUPS)
    counts = np.stack([_sum(cells, shape), _sum(cells, shape, label)], axis=2).astype(np.int64)
    sums, places, clicks = [], [], []
    for p in predictions:
        kept = np.clip(p, LEAST, 1 - LEAST)
        loss = -np.where(label == 1, np.log(kept), np.log1p(-kept))
        by_user = _user_aucs(where, user, label, p)
        sums.append(np.stack([_sum(cells, shape, v) for v in (loss, p, *by_user)], axis=2))
        place, at = np.unique(cells * BUCKETS + bucket_of(p), return_inverse=True)
        places.append(place)
        clicks.append(np.stack([np.bincount(at, 1 - label), np.bincount(at, label)], axis=1).astype(np.int64))
    ends = [np.searchsorted(place, np.arange(len(present) + 1) * GROUPS * BUCKETS) for place in places]
    for i, name in enumerate(present):
        parts = [slice(end[i], end[i + 1]) for end in ends]
        own = tuple(p[part] - i * GROUPS * BUCKETS for p, part in zip(places, parts, strict=True))
        some = tuple(c[part] for c, part in zip(clicks, parts, strict=True))
        yield int(name), Sketch(counts[i], np.stack([s[i] for s in sums]), own, some)


def bucket_of(p: np.ndarray) -> np.ndarray:
    """Return the bucket of each prediction, `(rows,)`, by its log odds: fine where click rates are small."""
    with np.errstate(divide="ignore"):
        odds = np.clip(np.log(p) - np.log1p(-p), -LIMIT, LIMIT)
    return np.minimum((odds + LIMIT) * (BUCKETS / (2 * LIMIT)), BUCKETS - 1).astype(np.int64)


def prediction_of(bucket: np.ndarray) -> np.ndarray:
    """Return the prediction in the middle of each bucket."""
    return 1 / (1 + np.exp(LIMIT - (bucket + 0.5) * (2 * LIMIT / BUCKETS)))


def _sum(cells: np.ndarray, shape: tuple[int, int], values: np.ndarray | None = None) -> np.ndarray:
    return np.bincount(cells, values, minlength=shape[0] * shape[1]).reshape(shape)


def _user_aucs(where: np.ndarray, user: np.ndarray, label: np.ndarray, p: np.ndarray) -> Mapping:
    """Return for each row its user's AUC within the slice times a weight, and the weight.

    The weight sums up to the user's rows in the slice, and is 0 for users with one class only.
    """
    order = np.lexsort((p, user, where))
    w, u, y, s = where[order], user[order], label[order].astype(float), p[order]
    new_user = np.r_[True, (w[1:] != w[:-1]) | (u[1:] != u[:-1])]
    of_user = np.cumsum(new_user) - 1
    new_score = new_user | np.r_[True, s[1:] != s[:-1]]
    of_score = np.cumsum(new_score) - 1
    first = np.flatnonzero(new_user)[of_user]
    ties = np.bincount(of_score)
    rank = (np.flatnonzero(new_score) + (ties + 1) / 2)[of_score] - first  # mean rank of ties, from 1
    rows, positives = np.bincount(of_user), np.bincount(of_user, y)
    negatives = rows - positives
    pairs = positives * negatives
    auc = np.bincount(of_user, rank * y) - positives * (positives + 1) / 2
    auc = np.divide(auc, pairs, out=np.zeros_like(auc), where=pairs > 0)
    weight = np.empty(len(p))
    weighted = np.empty(len(p))
    weight[order] = (pairs > 0)[of_user]
    weighted[order] = (auc * (pairs > 0))[of_user]
    return weighted, weight
