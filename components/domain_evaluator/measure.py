"""Measures scored rows slice by slice, as the evaluator of a TFMA pipeline."""

from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tfx  # noqa: F401 - first: it stands in for a part of tfx-bsl that TFMA imports and the wheels lack

# isort: split
import tensorflow_model_analysis as tfma

from components.domain_evaluator.jackknife import estimate
from components.domain_evaluator.measures import METRICS, curves, measures
from components.domain_evaluator.rows import (
    USER,
    ReadRows,
    Score,
    split_by_user,
    split_users,
    users_of,
)
from components.domain_evaluator.settings import NEW_USER, EvaluationSettings
from components.domain_evaluator.sketch import Sketch, add_up, sketch_slices
from schema.log_schema import LogSchema

ROWS, MEASURED = "scored_rows", "measured"  # what the stages of TFMA's pipeline pass on


class Measured(NamedTuple):
    """Figures of one slice.

    Attributes:
        slice: column and value of each part, such as `(("channel", "news"), ("day", "2026-01-31"))`.
        counts: rows and positives by group of users, `(groups, 2)`.
        values: see `measures`. curves: see `curves`.
    """

    slice: tuple[tuple[str, str], ...]
    counts: np.ndarray
    values: np.ndarray
    curves: np.ndarray


class MeasureRows(beam.PTransform):
    """Give `Measured` of all rows, each domain, and each domain by each crossing.

    Takes scored tables. They are brought together by users, whose AUCs GAUC is made of, sketched for all
    slices in one go, and the sketches of a slice are added up.

    Args:
        log: the log's schema. settings: names the crossings. train: files of the training split, whose users
            are not new.
    """

    def __init__(self, log: LogSchema, settings: EvaluationSettings, train: list[str]):
        super().__init__()
        self._log = log
        self._crossings = settings.crossings
        self._train = train

    def expand(self, tables):
        """Group by part of the users, sketch, add up, measure."""
        parts = {"rows": tables | "SplitByUser" >> beam.FlatMap(split_by_user)}
        if NEW_USER in self._crossings:
            parts["known"] = (
                tables.pipeline
                | "TrainingFiles" >> beam.Create(self._train)
                | "TrainingUsers" >> beam.Map(users_of, self._log.user)
                | "SplitUsers" >> beam.FlatMap(split_users)
            )
        return (
            parts
            | "OfUsers" >> beam.CoGroupByKey()
            | "Sketch" >> beam.FlatMap(_sketches, self._log.domain, self._crossings)
            | "AddUp" >> beam.CombinePerKey(add_up)
            | "Measure" >> beam.MapTuple(lambda name, s: Measured(name, s.counts, measures(s), curves(s)))
        )


def _sketches(part, domain: str, crossings: tuple[str, ...]) -> Iterator[tuple[tuple, Sketch]]:
    """Yield slice and sketch for everything that some users' rows are a part of."""
    _, groups = part
    tables = list(groups["rows"])
    if not tables:
        return
    rows = pa.concat_tables(tables)
    user, label = rows[USER].to_numpy(), rows["label"].to_numpy()
    names = [name for name in rows.column_names if name.startswith("prediction_")]
    scored = label, np.stack([rows[name].to_numpy() for name in names]), user
    if NEW_USER in crossings:
        known = np.isin(user, np.concatenate([np.zeros(0, np.uint64), *groups["known"]]))
        rows = rows.append_column(NEW_USER, pa.array(np.where(known, "no", "yes")))
    for crossing in (None, *crossings):
        columns = {domain: "domain"} | ({crossing: crossing} if crossing else {})
        codes, values = _encode([rows[column] for column in columns.values()])
        for code, sketch in sketch_slices(codes, *scored):
            yield tuple(zip(columns, values[code], strict=True)), sketch
    for _, sketch in sketch_slices(np.zeros(len(label), np.int64), *scored):
        yield (), sketch


def _encode(columns: list[pa.ChunkedArray]) -> tuple[np.ndarray, dict[int, tuple[str, ...]]]:
    """Return one code per row for the values of some columns, and the values of each code."""
    codes, encoded = 0, [pc.dictionary_encode(column).combine_chunks() for column in columns]
    for column in encoded:
        codes = codes * len(column.dictionary) + column.indices.to_numpy().astype(np.int64)
    found, first = np.unique(codes, return_index=True)
    values = zip(*(column.take(pa.array(first)).to_pylist() for column in encoded), strict=True)
    return codes, dict(zip(found.tolist(), values, strict=True))


def extractor(models: tuple[str, ...]) -> tfma.extractors.Extractor:
    """Return TFMA's stage that scores rows: extracts with a table get the models' predictions."""

    def score(extracts):
        tables = extracts | "Table" >> beam.Map(lambda extract: extract[tfma.INPUT_KEY])
        return (
            tables | "Score" >> beam.ParDo(Score(models)) | "Extract" >> beam.Map(lambda rows: {ROWS: rows})
        )

    return tfma.extractors.Extractor(ROWS, beam.ptransform_fn(score)())


def evaluator(
    models: list[str], log: LogSchema, settings: EvaluationSettings, train: list[str]
) -> tfma.evaluators.Evaluator:
    """Return TFMA's stage that measures them, for TFMA's own files and for ours.

    Args:
        models: their names. log, settings, train: see `MeasureRows`.
    """

    def evaluate(extracts):
        measured = (
            extracts
            | "Rows" >> beam.Map(lambda extract: extract[ROWS])
            | "MeasureRows" >> MeasureRows(log, settings, train)
        )
        metrics = measured | "TFMA" >> beam.Map(to_tfma, models, settings.confidence)
        return {tfma.METRICS_KEY: metrics, MEASURED: measured}

    return tfma.evaluators.Evaluator(MEASURED, ROWS, beam.ptransform_fn(evaluate)())


def to_tfma(measured: Measured, models: list[str], confidence: float) -> tuple[tuple, dict]:
    """Return a slice's key and metrics as TFMA writes them, with intervals where they are known."""
    metrics = {}
    for name, values in zip(models, measured.values, strict=True):
        for metric, row in zip(METRICS, values, strict=True):
            found = estimate(row, measured.counts[:, 0] > 0, confidence)
            value = float("nan") if found.value is None else found.value
            if found.error is not None:
                value = tfma.types.ValueWithTDistribution(value, found.error, found.df, value)
            metrics[tfma.metrics.MetricKey(metric, model_name=name)] = value
    metrics[tfma.metrics.MetricKey("example_count", model_name=models[0])] = float(
        measured.counts[:, 0].sum()
    )
    return measured.slice, metrics


def reader(log: LogSchema, settings: EvaluationSettings, items: str | None) -> beam.PTransform:
    """Return the transform from paths of test files to extracts with a table each."""

    def read(paths):
        return (
            paths
            | "Reshuffle" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(ReadRows(log, settings.crossings, items))
            | "Extract" >> beam.Map(lambda rows: {tfma.INPUT_KEY: rows})
        )

    return beam.ptransform_fn(read)()
