"""When a domain's figures mean something."""

from pydantic import Field

from schema.base import Settings


class EvaluationSettings(Settings):
    """How much of a domain there must be in the test split to judge it.

    Attributes:
        min_rows: with fewer rows a domain is reported as "too few".
        min_each_class: likewise with fewer clicked or fewer unclicked rows; at least one of each is needed
            for an AUC.
    """

    min_rows: int = Field(100, ge=2)
    min_each_class: int = Field(10, ge=1)
