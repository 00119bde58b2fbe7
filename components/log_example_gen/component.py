"""Ingest as a TFX component."""

import json
import shutil
from pathlib import Path

import apache_beam as beam
from tfx import v1 as tfx
from tfx.types import artifact_utils

from components.log_example_gen.settings import SPLITS, DataSettings, SplitSettings
from components.log_example_gen.sources import fingerprint as input_fingerprint
from components.log_example_gen.sources import newest_date
from components.log_example_gen.transform import IngestLogs, Summary, sources
from schema.log_schema import LogSchema
from schema.overrides import overridden

WORST = 3  # reasons that an error names


class BadRowsError(ValueError):
    """Too many rows of the logs cannot be used."""


class EmptySplitError(ValueError):
    """A split got no rows."""


@tfx.dsl.components.component(use_beam=True)
def LogExampleGen(
    examples: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Examples],
    data: tfx.dsl.components.Parameter[str],
    log: tfx.dsl.components.Parameter[str],
    split: tfx.dsl.components.Parameter[str],
    path: tfx.dsl.components.Parameter[str] = "",
    span: tfx.dsl.components.Parameter[str] = "",
    fingerprint: tfx.dsl.components.Parameter[str] = "",
    code: tfx.dsl.components.Parameter[str] = "",
    beam_pipeline: tfx.dsl.components.BeamComponentParameter[beam.Pipeline] = None,
):
    """Read raw logs into tf.Examples of the splits `train`, `validation` and `test`.

    Args:
        examples: receives `Split-*/` and `dead_letters/`, and as custom properties `rows`, `rows_train`,
            `rows_validation`, `rows_test`, `bad_rows`, `bad_reasons` (JSON), `fingerprint` and `date`, the
            newest that was read (empty where the path has no `{DATE}`).
        data: `DataSettings` as JSON. log: `LogSchema` as JSON. split: `SplitSettings` as JSON.
        path, span: what differs from `data` in this run; empty for nothing.
        fingerprint: of the input files as the start of the run saw them. code: hash of the source; both for
            the cache only.
        beam_pipeline: given by TFX.

    Raises:
        FileError: a file as a whole cannot be used.
        BadRowsError: more than `data.max_bad_share` of the rows cannot be used.
        EmptySplitError: a split got no rows.
    """
    given = {name: value for name, value in (("path", path), ("span", span)) if value}
    config = DataSettings.model_validate_json(data)
    settings = overridden(config, json.dumps(given), "the run's data-path and span")
    split_settings = SplitSettings.model_validate_json(split)
    log_schema = LogSchema.model_validate_json(log)
    role = {"time": log_schema.time, "user": log_schema.user, "random": "", "column": ""}[split_settings.by]
    if role is None:
        raise ValueError(f"split.by is {split_settings.by!r}, but log.{split_settings.by} is not set.")
    folder = Path(examples.uri)
    summaries = folder / ".summaries"  # the pipeline may run elsewhere: its result comes back as a file
    with beam_pipeline as pipeline:
        (
            pipeline
            | "Sources" >> beam.Create(sources(settings))
            | "Ingest" >> IngestLogs(str(folder), log_schema, split_settings)
            | "ToJson" >> beam.Map(Summary.to_json)
            | "Save" >> beam.io.WriteToText(str(summaries / "summary"), num_shards=1)
        )
    [saved] = summaries.glob("summary*")
    summary = Summary.from_json(saved.read_text(encoding="utf-8"))
    shutil.rmtree(summaries)
    check(summary, settings, split_settings)
    rows, bad = summary.rows, summary.bad

    examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
    examples.span = 0
    examples.set_int_custom_property("rows", sum(rows.values()))
    for name in SPLITS:
        examples.set_int_custom_property(f"rows_{name}", rows[name])
    examples.set_int_custom_property("bad_rows", sum(bad.values()))
    examples.set_string_custom_property("bad_reasons", json.dumps(bad))
    examples.set_string_custom_property("fingerprint", input_fingerprint(settings))
    examples.set_string_custom_property("date", newest_date(settings))


def check(summary: Summary, data: DataSettings, split: SplitSettings) -> None:
    """Stop when too many rows are bad or a split is empty.

    Raises:
        BadRowsError, EmptySplitError: see `LogExampleGen`.
    """
    good, bad = sum(summary.rows.values()), sum(summary.bad.values())
    if bad > data.max_bad_share * (good + bad):
        worst = sorted(summary.bad.items(), key=lambda item: -item[1])[:WORST]
        lines = [f"{bad:,} of {good + bad:,} rows cannot be used, more than data.max_bad_share allows:"]
        for reason, count in worst:
            row = summary.examples[reason]
            lines.append(f"  {count:,} x {reason}; such as {row.file}, line {row.line}: {row.text}")
        raise BadRowsError("\n".join(lines))
    empty = [name for name in SPLITS if not summary.rows[name]]
    if empty:
        counts = ", ".join(f"{name} {summary.rows[name]:,}" for name in SPLITS)
        raise EmptySplitError(f"no rows in {' and '.join(empty)} (rows: {counts}): {_why_empty(split)}.")


def _why_empty(split: SplitSettings) -> str:
    if split.by == "column":
        return f"the column {split.column!r} names none"
    sizes = f"validation {split.validation:g} and test {split.test:g}"
    return f"the logs are too short for a split by {split.by} with {sizes}"
