"""The typed description of an impression log: which column means what.

Every stage reads the same `LogSchema`: ingest (what a valid row is), Transform (how a column becomes
numbers), the models (feature groups), ItemPopularity and the evaluation (domain, user, item).
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schema.base import Settings

LABEL = "label"  # the name of the click label in every tf.Example, int64 in {0, 1}
TIME = "time"  # the name of the event time in every tf.Example, int64 seconds since 1970
RESERVED = frozenset({LABEL, TIME})
# The text of a user or item id that a column of floats made of an integer: ingest and serving drop its `.0`.
WHOLE_FLOAT = r"^([+-]?[0-9]+)\.0+$"

Group = Literal["general", "context", "domain"]


class Categorical(Settings):
    """A column with one discrete value per row, read as a string.

    Attributes:
        group: feature group (SSCTL section 3, PEPNet): `general` describes user and item, `context` the
            impression, `domain` the domain itself.
        min_count: values seen less often in training share the OOV buckets.
        max_size: at most this many values, the most frequent ones, are kept.
        oov_buckets: hash buckets for every other value, unseen ones and missing ones.
    """

    kind: Literal["categorical"] = "categorical"
    group: Group = "general"
    min_count: int = Field(1, ge=1)
    max_size: int | None = Field(None, ge=1)
    oov_buckets: int = Field(1, ge=1)


class Sequence(Categorical):
    """A column with several discrete values per row; list-typed, or one string joined by `separator`.

    Attributes:
        max_length: values beyond the first `max_length` are dropped.
    """

    kind: Literal["sequence"] = "sequence"
    max_length: int = Field(20, ge=1)
    separator: str = Field("|", min_length=1)


class Numeric(Settings):
    """A column with one real number per row.

    Attributes:
        scale: `z_score` (over the training split; a missing value becomes the mean), `buckets` (quantiles of
            the training split, embedded like a categorical value) or `none`.
        buckets: number of quantile buckets when `scale` is `buckets`.
    """

    kind: Literal["numeric"] = "numeric"
    group: Group = "general"
    scale: Literal["z_score", "buckets", "none"] = "z_score"
    buckets: int = Field(10, ge=2)


Feature = Annotated[Categorical | Sequence | Numeric, Field(discriminator="kind")]


class Label(Settings):
    """The column that says whether the impression was clicked.

    Attributes:
        column: its name in the log; 0 or 1 in every row unless `above` is set.
        above: rows with a value greater than this are positive (a rating of 4 or 5 with `above: 3`).
        range: with `above`: the smallest and largest valid value; a row outside it is a bad row.
    """

    column: str
    above: float | None = None
    range: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _range_needs_above(self):
        if self.range is not None and self.above is None:
            raise ValueError("range needs above: a plain label is 0 or 1.")
        return self


class Time(Settings):
    """The column that says when the impression happened.

    Attributes:
        column: its name in the log.
        unit: `s` or `ms` since 1970, or `iso` for dates and date-times such as 2026-01-31 or
            2026-01-31T10:00:00Z (UTC when no zone is given).
    """

    column: str
    unit: Literal["s", "ms", "iso"] = "s"


class LogSchema(Settings):
    """Which column of a log means what.

    Attributes:
        domain: the column that names the domain (channel, category, page) of the impression. It is always a
            model input, in the group `domain`; it must not be listed among `features`.
        label: the click.
        time: the event time; None for logs without one (they cannot be split by time).
        user, item: the id columns. They are model inputs only when they are listed among `features` too.
        features: model inputs by column name, in the order of the model's fields.
    """

    domain: str
    label: Label
    time: Time | None = None
    user: str | None = None
    item: str | None = None
    features: dict[str, Feature] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _kind_defaults_to_categorical(cls, values):
        if isinstance(values, dict) and isinstance(values.get("features"), dict):
            features = {
                name: {"kind": "categorical", **({} if feature is None else feature)}
                if feature is None or isinstance(feature, dict)
                else feature
                for name, feature in values["features"].items()
            }
            values = {**values, "features": features}
        return values

    @model_validator(mode="after")
    def _names_do_not_collide(self):
        if self.domain in self.features:
            raise ValueError(f"features must not list the domain {self.domain!r}: it is always an input.")
        for what in ("domain", "user", "item"):
            if getattr(self, what) == self.label.column:
                raise ValueError(f"column {self.label.column!r} is the label: it cannot be the {what}, too.")
        if self.label.column in self.features:
            raise ValueError(
                f"features must not list the label's column {self.label.column!r}: it is what is predicted."
            )
        for name in sorted(RESERVED & {*self.features, self.domain, self.user, self.item}):
            raise ValueError(f"column {name!r} has the name of mdr's own {name}; rename the column.")
        for name, feature in self.features.items():
            if name in (self.user, self.item) and feature.kind != "categorical":
                raise ValueError(f"feature {name!r} is the user or item id and must be categorical.")
        return self

    @property
    def columns(self) -> list[str]:
        """Every column of the raw log that is read, without duplicates."""
        named = [self.domain, self.label.column, self.time and self.time.column, self.user, self.item]
        return list(dict.fromkeys([name for name in named if name] + list(self.features)))

    @property
    def string_columns(self) -> list[str]:
        """Columns written to a tf.Example as one string: the domain, the ids, the categorical features."""
        ids = [self.domain, *(name for name in (self.user, self.item) if name)]
        return list(dict.fromkeys(ids + self.features_of("categorical")))

    def features_of(self, kind: str) -> list[str]:
        """Names of the features of one kind: `categorical`, `sequence` or `numeric`."""
        return [name for name, feature in self.features.items() if feature.kind == kind]
