"""What the history of a training says of the model that it gave."""

import math
from typing import Any


def exported_epoch(history: list[dict[str, Any]]) -> int:
    """Return the number of the epoch whose weights `models.trainer.train` left in the model."""
    best, number = -math.inf, 0
    for row in history:
        score = row["mean_domain_auc"]
        if score is None or score > best:
            best, number = score or -math.inf, row["epoch"]
    return number
