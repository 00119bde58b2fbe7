"""What a model must reach before it is pushed."""

from pydantic import Field, model_validator

from schema.base import Settings


class Floors(Settings):
    """Limits on one set of rows; None leaves a rule out.

    Attributes:
        min_auc: the AUC must be at least this.
        max_logloss: the log loss must be at most this.
        calibration: the mean prediction over the click rate must lie between these two.
    """

    min_auc: float | None = Field(None, ge=0, le=1)
    max_logloss: float | None = Field(None, gt=0)
    calibration: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _calibration_is_a_range(self):
        if self.calibration is not None and self.calibration[0] > self.calibration[1]:
            raise ValueError("calibration: the smaller limit comes first.")
        return self


class Change(Settings):
    """Limits on what may be lost against the model that serves; None leaves a rule out.

    Attributes:
        max_auc_loss: over all rows. max_domain_auc_loss: in any one domain.
    """

    max_auc_loss: float | None = Field(0.005, ge=0)
    max_domain_auc_loss: float | None = Field(0.02, ge=0)


class GateSettings(Settings):
    """The gate's rules.

    Attributes:
        overall: floors over all test rows. There is always one on the AUC: a first model has no other to be
            compared with.
        domain: floors in every domain that has enough rows.
        change: against the model that serves, on the same rows.
    """

    overall: Floors = Floors(min_auc=0.55, calibration=(0.8, 1.25))
    domain: Floors = Floors(min_auc=0.5)
    change: Change = Change()

    @model_validator(mode="after")
    def _there_is_a_floor(self):
        if self.overall.min_auc is None:
            raise ValueError("overall.min_auc must be set: without it a first model would pass unseen.")
        return self
