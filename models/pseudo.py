"""Rows with a pseudo-domain among the training rows (SSCTL, section 3.2)."""

import numpy as np

from models.columns import Columns, join

# What such a row says besides its inputs: the domain that it is of, p, and the largest p (0 in other rows).
SOURCE_DOMAIN, PROBABILITIES, CONFIDENCE = "mdr_source_domain", "mdr_p", "mdr_confidence"


def with_pseudo(columns: Columns, pseudo: Columns | None) -> Columns:
    """Return the training rows, each with its `CONFIDENCE`, and those with a pseudo-domain, if any.

    Args:
        columns: rows of their own domains. pseudo: rows with a pseudo-domain and its confidence.
    """
    own = Columns({**columns.arrays, CONFIDENCE: np.zeros(columns.rows, "float32")}, columns.offsets)
    return own if pseudo is None else join(own, pseudo)
