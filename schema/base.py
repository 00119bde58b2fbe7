"""The base of every settings object: unknown keys are errors, values cannot change after the check."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A checked, read-only part of a configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
