"""Figures over domains, from the figures of each: means, and the groups of large and small domains."""

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

MAJOR5, MINOR10, MINOR5 = 5, 10, 5  # sizes of the groups that AREAD compares (section 3.1)


def slice_figures(
    labels: np.ndarray, scores: np.ndarray, min_rows: int = 2, min_each_class: int = 1
) -> dict[str, float | int | None]:
    """Return the figures of one slice of rows.

    Args:
        labels, scores: clicks and click probabilities, `(rows,)`.
        min_rows, min_each_class: with fewer rows, or fewer of one class, the AUC is not defined.

    Returns:
        `auc` and `logloss`, None where undefined, `rows` and `positives`.
    """
    rows, positives = len(labels), int(np.sum(labels))
    enough = rows >= min_rows and min(positives, rows - positives) >= min_each_class
    return {
        "auc": float(roc_auc_score(labels, scores)) if enough else None,
        "logloss": float(log_loss(labels, np.asarray(scores, np.float64), labels=[0, 1])) if rows else None,
        "rows": rows,
        "positives": positives,
    }


def over_domains(domains: Mapping[str, Mapping]) -> dict[str, float | None]:
    """Return the AUCs over domains, leaving out domains without one.

    Args:
        domains: by name, each with `auc` and `rows`.

    Returns:
        `domain_auc` (weighted by rows), `mean_domain_auc` (each domain the same), `major5_auc`, `minor10_auc`
        and `minor5_auc` (weighted by rows, over the largest and the smallest domains; AREAD, section 3.1);
        None where there are not that many domains.
    """
    known = sorted((d["rows"], d["auc"]) for d in domains.values() if d["auc"] is not None)
    rows, aucs = np.array(known).reshape(-1, 2).T
    return {
        "domain_auc": _mean(aucs, rows, least=1),
        "mean_domain_auc": _mean(aucs, np.ones_like(rows), least=1),
        "major5_auc": _mean(aucs[-MAJOR5:], rows[-MAJOR5:], least=MAJOR5),
        "minor10_auc": _mean(aucs[:MINOR10], rows[:MINOR10], least=MINOR10),
        "minor5_auc": _mean(aucs[:MINOR5], rows[:MINOR5], least=MINOR5),
    }


def _mean(values: np.ndarray, weights: np.ndarray, least: int) -> float | None:
    return float(np.average(values, weights=weights)) if len(values) >= least else None
