"""Intervals and tests from the values that a metric has without each group of users."""

from typing import NamedTuple

import numpy as np
from scipy.stats import t


class Estimate(NamedTuple):
    """A figure and what is known of it.

    Attributes:
        value: over all rows. error: its standard error. df: degrees of freedom, groups - 1.
        low, high: confidence interval. All but `value` None where fewer than two groups say something.
    """

    value: float | None
    error: float | None
    df: int | None
    low: float | None
    high: float | None


def estimate(values: np.ndarray, present: np.ndarray, confidence: float) -> Estimate:
    """Return a metric's figure with its confidence interval, by the delete-a-group jackknife.

    The groups are of users, so that the rows of one user, which are alike, do not count as independent
    (Kott, Journal of Official Statistics 17, 2001); the interval is that of Student's t.

    Args:
        values: over all rows, then without each group, `(1 + groups,)`; NaN where undefined.
        present: which groups have rows, `(groups,)`.
        confidence: such as 0.95.
    """
    value, without = values[0], values[1:]
    without = without[present & np.isfinite(without)]
    if not np.isfinite(value):
        return Estimate(None, None, None, None, None)
    if len(without) < 2:
        return Estimate(float(value), None, None, None, None)
    groups = len(without)
    error = float(np.sqrt((groups - 1) / groups * np.square(without - without.mean()).sum()))
    reach = float(t.ppf((1 + confidence) / 2, groups - 1)) * error
    return Estimate(float(value), error, groups - 1, float(value - reach), float(value + reach))


def p_above(found: Estimate, limit: float) -> float | None:
    """Return the p-value of the hypothesis that a figure is at most a limit, against that it is above.

    None where the standard error is not known; without any spread 0 or 1.
    """
    if found.error is None:
        return None
    if found.error == 0:
        return float(found.value <= limit)
    return float(t.sf((found.value - limit) / found.error, found.df))
