"""Where the logs are and how they are split."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from schema.base import Settings

SPLITS = ("train", "validation", "test")


class DataSettings(Settings):
    """Where the logs are.

    Attributes:
        path: a file, a folder (all its files are read) or a pattern with `{DATE}` for one date per file or
            folder, such as `logs/{DATE}.csv.gz` or `logs/{DATE}/*.parquet` (dates as 2026-01-31 or
            20260131).
        span: with `{DATE}`: the newest date to read, such as 2026-01-31; None takes the newest there is.
        spans: with `{DATE}`: read so many dates only, up to `span`; None reads all of them.
        format: of the files; None goes by their endings (.csv, .jsonl, .parquet, the first two also .gz).
        reader: `{name: movielens-1m, ...}` for the raw files of a public set, with the reader's options.
        max_bad_share: the run stops when a larger share of the rows cannot be used.
    """

    path: str
    span: str | None = Field(None, pattern=r"^\d{4}-?\d{2}-?\d{2}$")
    spans: int | None = Field(None, ge=1)
    format: Literal["csv", "jsonl", "parquet"] | None = None
    reader: dict[str, Any] | None = None
    max_bad_share: float = Field(0.01, ge=0, le=1)

    @field_validator("span", mode="before")
    @classmethod
    def _span_as_text(cls, span):
        return span if span is None else str(span)  # YAML reads 2026-01-31 as a date

    @model_validator(mode="after")
    def _span_has_a_pattern(self):
        if self.span is not None and "{DATE}" not in self.path:
            raise ValueError(f"span {self.span} needs {{DATE}} in path, which is {self.path!r}.")
        return self

    @model_validator(mode="after")
    def _reader_has_a_name(self):
        if self.reader is not None and "name" not in self.reader:
            raise ValueError("reader needs a name, such as {name: movielens-1m}.")
        return self


class SplitSettings(Settings):
    """Which rows are training, validation and test.

    Attributes:
        by: `time`: the last days (UTC) are test, those before them validation, so that nothing of a later
            time is trained on; `user`: all rows of a user are in one split; `random`: each row by itself;
            `column`: a column of the log holds the name of each row's split.
        column: of `column`: its name; its values are train, validation and test.
        validation, test: days for `time`, shares for `user` and `random`.
        seed: of `user` and `random`.
    """

    by: Literal["time", "user", "random", "column"] = "time"
    column: str | None = None
    validation: float = Field(None, gt=0, validate_default=False)
    test: float = Field(None, gt=0, validate_default=False)
    seed: int = 0

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values):
        if isinstance(values, dict):
            size = 1.0 if values.get("by", "time") == "time" else 0.1
            values = {"validation": size, "test": size, **values}
        return values

    @model_validator(mode="after")
    def _sizes_fit(self):
        if (self.by == "column") != (self.column is not None):
            raise ValueError("split by column, and only that, needs the column's name: column: split.")
        if self.by == "time" and (self.validation % 1 or self.test % 1):
            raise ValueError("split by time: validation and test are whole days.")
        if self.by in ("user", "random") and self.validation + self.test >= 1:
            raise ValueError(f"split by {self.by}: the shares of validation and test leave nothing to train.")
        return self
