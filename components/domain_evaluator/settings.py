"""Which slices are measured, and when a slice's figures mean something."""

from pydantic import Field

from schema.base import Settings

NEW_USER, ITEM_POPULARITY, DAY = "new_user", "item_popularity", "day"
DERIVED = (NEW_USER, ITEM_POPULARITY, DAY)


class EvaluationSettings(Settings):
    """What is measured beside all rows and each domain.

    Attributes:
        crossings: each domain is split by these, one at a time: categorical features of the log, and
            `new_user` (no training row has the user), `item_popularity` (thirds of the training impressions)
            and `day`.
        confidence: of the intervals.
        min_rows: with fewer rows a slice is reported as "too few".
        min_each_class: likewise with fewer clicked or fewer unclicked rows; at least one of each is needed
            for an AUC.
    """

    crossings: tuple[str, ...] = ()
    confidence: float = Field(0.95, gt=0.5, lt=1)
    min_rows: int = Field(100, ge=2)
    min_each_class: int = Field(10, ge=1)
