"""Which rows are augmented, and how many."""

from pydantic import Field, model_validator

from schema.base import Settings


class AugmentationSettings(Settings):
    """What AREAD (section 2.5) leaves to choose.

    Attributes:
        rho: an item with a popularity p(i) below it is unpopular; None for no such condition.
        exposure: an item with at most so many impressions is unpopular, too; None for no such condition.
        minor_share: a domain with a smaller share of the training rows is minor, any other is major.
        r_aug: augmented rows as a share of the training rows, in expectation.
        seed: of what is drawn.
    """

    rho: float | None = Field(0.05, gt=0, le=1)
    exposure: int | None = Field(None, ge=1)
    minor_share: float = Field(0.02, gt=0, lt=1)
    r_aug: float = Field(0.1, gt=0)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _unpopular_means_something(self):
        if self.rho is None and self.exposure is None:
            raise ValueError("rho and exposure are both null: one of them must say what is unpopular.")
        return self
