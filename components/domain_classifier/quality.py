"""How good a classifier is, on rows that it was not trained on."""

from typing import Any

import numpy as np

BINS = 10  # of the confidence, in the reliability curve
SURE = 1.645  # standard errors that C must be ahead by: 5 percent of chance classifiers are, too


def measure(p: np.ndarray, labels: np.ndarray, train_rows: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """Compare what a classifier says with what is so.

    Args:
        p: of the held-out rows, `(rows, classes)`. labels: their classes `(rows,)`.
        train_rows: training rows of each class `(classes,)`.
        weights: of a row of each class in the training `(classes,)`.

    Returns:
        `train_rows` and `held_out_rows` of each class; `confusion`, rows by true and said class; `recall` of
        each class, None without rows; `accuracy`; `majority_rate`, the accuracy of always saying the class
        with most training rows; `better_than_chance`, whether C is ahead of that by more than luck, the rows
        weighing what they do in the training, None where there is nothing to tell apart or nothing held out;
        `calibration` with the `bins` of the confidence (mean `confidence`, `accuracy` and `rows`, bins
        without rows left out) and `ece`, the expected calibration error.
    """
    classes = len(train_rows)
    said = p.argmax(axis=1)
    confusion = np.bincount(labels * classes + said, minlength=classes**2).reshape(classes, classes)
    rows = confusion.sum(axis=1)
    right, majority = said == labels, labels == train_rows.argmax()
    ahead = weights[labels] * (right - 1.0 * majority)
    return {
        "train_rows": train_rows.tolist(),
        "held_out_rows": rows.tolist(),
        "confusion": confusion.tolist(),
        "recall": [float(confusion[k, k] / rows[k]) if rows[k] else None for k in range(classes)],
        "accuracy": float(right.mean()) if len(labels) else None,
        "majority_rate": float(majority.mean()) if len(labels) else None,
        "better_than_chance": _is_more_than_luck(ahead) if classes > 1 and len(labels) else None,
        "calibration": _calibration(p.max(axis=1), right),
    }


def _is_more_than_luck(ahead: np.ndarray) -> bool:
    """Return whether the mean of some differences is above zero by more than their spread explains."""
    return bool(ahead.mean() > SURE * ahead.std() / len(ahead) ** 0.5)


def _calibration(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows, sure, correct = (
        np.bincount(place, weights, minlength=BINS) for weights in (None, confidence, right)
    )
    bins = [
        {"confidence": float(s / n), "accuracy": float(c / n), "rows": int(n)}
        for n, s, c in zip(rows, sure, correct, strict=True)
        if n
    ]
    ece = float(np.abs(sure - correct).sum() / rows.sum()) if rows.any() else None
    return {"bins": bins, "ece": ece}
