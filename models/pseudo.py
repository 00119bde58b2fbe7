"""Rows with a pseudo-domain among the training rows (SSCTL, section 3.2)."""

import numpy as np

from models.columns import Columns, join

CONFIDENCE = "mdr_confidence"  # of a row's pseudo-domain; 0 for a row of its own domain


def with_pseudo(columns: Columns, pseudo: Columns | None) -> Columns:
    """Return the training rows, each with its `CONFIDENCE`, and those with a pseudo-domain, if any.

    Args:
        columns: rows of their own domains. pseudo: rows with a pseudo-domain and its confidence.
    """
    own = Columns({**columns.arrays, CONFIDENCE: np.zeros(columns.rows, "float32")}, columns.offsets)
    return own if pseudo is None else join(own, pseudo)
