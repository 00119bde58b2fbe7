"""Where a blessed model goes."""

from pydantic import Field

from schema.base import Settings


class PushSettings(Settings):
    """The folder that TF Serving watches.

    Attributes:
        path: numbered versions appear there; None is `serving` in the run's folder.
        keep: how many versions stay; None keeps all.
    """

    path: str | None = None
    keep: int | None = Field(None, ge=2)
