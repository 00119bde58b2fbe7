"""The metrics of a slice from its sketch: over all rows, and with each group of users left out."""

import numpy as np

from components.domain_evaluator.sketch import BUCKETS, GROUPS, Sketch, prediction_of

METRICS = ("auc", "pr_auc", "logloss", "calibration", "ece", "gauc")
POINTS = 10  # of a calibration curve
BINS = 10  # of the prediction, in the expected calibration error


def measures(sketch: Sketch) -> np.ndarray:
    """Return every metric of every model, and its value without each group of users.

    Returns:
        `(M, len(METRICS), 1 + GROUPS)`, first over all rows; NaN where a metric is undefined. Without a group
        that has no rows everything is as it was.

        `auc` counts ties half. `pr_auc` is the average precision, sum of (R_n - R_(n-1)) P_n. `calibration`
        is the mean prediction over the click rate. `ece` is the mean distance of click rate and prediction
        over `BINS` bins of equal width, weighted by rows. `gauc` is the mean AUC of users who have both
        classes, weighted by their rows.
    """
    counts = _left_out(sketch.counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([_of_model(sketch, counts, model) for model in range(len(sketch.places))])


def curves(sketch: Sketch) -> np.ndarray:
    """Return the calibration curve of every model, `(M, POINTS, 3)`.

    Sorted by prediction and cut into `POINTS` bins of about as many rows each: rows, mean prediction, click
    rate; the last two are NaN in a bin without rows.
    """
    return np.stack([_curve(sketch, model) for model in range(len(sketch.places))])


def _curve(sketch: Sketch, model: int) -> np.ndarray:
    bucket, where = np.unique(sketch.places[model] % BUCKETS, return_inverse=True)
    rows = np.bincount(where, sketch.clicks[model].sum(axis=1))
    positives = np.bincount(where, sketch.clicks[model][:, 1])
    middle = (np.cumsum(rows) - rows / 2) / rows.sum()
    bins = np.minimum((middle * POINTS).astype(int), POINTS - 1)
    total, predicted, clicked = (
        np.bincount(bins, values, minlength=POINTS)
        for values in (rows, rows * prediction_of(bucket), positives)
    )
    with np.errstate(invalid="ignore"):
        return np.stack([total, predicted / total, clicked / total], axis=1)


def _of_model(sketch: Sketch, counts: np.ndarray, model: int) -> np.ndarray:
    rows, positives = counts.T
    loss, predicted, aucs, weights = _left_out(sketch.sums[model]).T
    group, bucket = np.divmod(sketch.places[model], BUCKETS)
    present, where = np.unique(bucket, return_inverse=True)
    clicks = np.zeros((GROUPS, len(present), 2), np.int64)
    clicks[group, where] = sketch.clicks[model]
    clicks = _left_out(clicks)
    negative, positive = clicks[..., 0], clicks[..., 1]
    return np.stack(
        [
            _auc(negative, positive),
            _average_precision(negative, positive),
            loss / rows,
            np.where(positives > 0, predicted / positives, np.nan),
            _ece(negative, positive, prediction_of(present)),
            np.where(weights > 0, aucs / weights, np.nan),
        ]
    )


def _left_out(values: np.ndarray) -> np.ndarray:
    """Return sums over all groups, and over all but each, `(1 + GROUPS, ...)`, from those by group."""
    total = values.sum(axis=0)
    return np.concatenate([total[None], total - values])


def _auc(negative: np.ndarray, positive: np.ndarray) -> np.ndarray:
    below = np.cumsum(negative, axis=1) - negative
    right = (positive * (below + negative / 2)).sum(axis=1)
    return right / (negative.sum(axis=1) * positive.sum(axis=1))


def _average_precision(negative: np.ndarray, positive: np.ndarray) -> np.ndarray:
    found = np.cumsum(positive[:, ::-1], axis=1)
    said = found + np.cumsum(negative[:, ::-1], axis=1)
    precision = np.divide(found, said, out=np.zeros(found.shape), where=said > 0)
    return (positive[:, ::-1] * precision).sum(axis=1) / positive.sum(axis=1)


def _ece(negative: np.ndarray, positive: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    bins = np.minimum((prediction * BINS).astype(int), BINS - 1)
    spread = np.eye(BINS)[bins]
    gap = positive @ spread - ((negative + positive) * prediction) @ spread
    return np.abs(gap).sum(axis=1) / (negative + positive).sum(axis=1)
