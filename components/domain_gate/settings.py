"""What a model must reach before it is pushed."""

from pydantic import Field, model_validator

from schema.base import Settings

VERDICT_FILE = "verdict.json"  # every rule's outcome, in the blessing


class Floors(Settings):
    """Limits on one set of rows; None leaves a rule out.

    In a domain a figure's whole confidence interval must be beyond a limit for the rule to fail.

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


class OverallFloors(Floors):
    """Limits over all test rows: a key that a config does not name keeps its default."""

    min_auc: float | None = Field(0.55, ge=0, le=1)
    calibration: tuple[float, float] | None = (0.8, 1.25)


class DomainFloors(Floors):
    """Limits in each domain, likewise."""

    min_auc: float | None = Field(0.5, ge=0, le=1)


class GroupFloors(Settings):
    """Smallest allowed AUCs over domains (see `models.domain_metrics`); None leaves a rule out."""

    mean_domain_auc: float | None = Field(None, ge=0, le=1)
    major5_auc: float | None = Field(None, ge=0, le=1)
    minor10_auc: float | None = Field(None, ge=0, le=1)
    minor5_auc: float | None = Field(None, ge=0, le=1)


class Change(Settings):
    """Limits on what may be lost against the model that serves; None leaves a rule out.

    A rule fails when the loss is surely larger than its limit: by a one-sided test at `confidence`, half of
    whose errors are left to the losses over all domains and half to all domains together.

    Attributes:
        max_auc_loss: over all rows. max_mean_domain_auc_loss: of the mean over domains.
        max_domain_auc_loss: in any one domain.
        confidence: share of runs of an equal model that chance may not stop.
    """

    max_auc_loss: float | None = Field(0.002, ge=0)
    max_mean_domain_auc_loss: float | None = Field(None, ge=0)
    max_domain_auc_loss: float | None = Field(0.002, ge=0)
    confidence: float = Field(0.95, gt=0.5, lt=1)


class GateSettings(Settings):
    """The gate's rules.

    Attributes:
        overall: floors over all test rows. There is always one on the AUC: a first model has no other to be
            compared with.
        domain: floors in every domain that has enough rows. groups: floors on the AUCs over domains.
        change: against the model that serves, on the same rows.
    """

    overall: OverallFloors = OverallFloors()
    domain: DomainFloors = DomainFloors()
    groups: GroupFloors = GroupFloors()
    change: Change = Change()

    @model_validator(mode="after")
    def _there_is_a_floor(self):
        if self.overall.min_auc is None:
            raise ValueError("overall.min_auc must be set: without it a first model would pass unseen.")
        return self
