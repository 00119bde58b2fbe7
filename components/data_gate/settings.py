"""Which anomalies of the data stop a run."""

from typing import Literal

from pydantic import Field

from schema.base import Settings


class ChecksSettings(Settings):
    """What the data is held against, and how far it may be off.

    Attributes:
        schema_file: a reviewed schema.pbtxt; None infers one from the training split and saves it for review.
        new_domain: whether a domain that training has no row of stops the run or is a warning (its rows are
            then read as the unknown domain).
        max_vocabulary_jump: a later split may hold at most this share of values that training does not know,
            per column.
        max_skew: training and the most recent split may differ by at most this much in the distribution of a
            column: the largest difference of one value's share, or for numbers the Jensen-Shannon divergence.
            It is written into an inferred schema; a schema file has thresholds of its own.
    """

    schema_file: str | None = None
    new_domain: Literal["stop", "warn"] = "stop"
    max_vocabulary_jump: float = Field(0.2, ge=0, le=1)
    max_skew: float = Field(0.25, gt=0, le=1)
