"""What the training rows of a run were, and how they differ from those that its folder had before."""

import os
from typing import Any

import tfx  # noqa: F401 - first: it stands in for a part of tfx-bsl that TFDV imports and the wheels lack

# isort: split
import tensorflow_data_validation as tfdv
from ml_metadata import MetadataStore
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.components.statistics_gen.stats_artifact_utils import BINARY_PB_BASENAME

from components.data_gate.feature_statistics import by_column, is_strings, present, value_counts
from pipeline.lineage import earlier_output
from schema.log_schema import LABEL, TIME

Statistics = statistics_pb2.DatasetFeatureStatisticsList
TRAIN = os.path.join("Split-train", BINARY_PB_BASENAME)
SHARE, DIVERGENCE = "largest change of a share", "Jensen-Shannon divergence"
MEASURES = {
    anomalies_pb2.DriftSkewInfo.Measurement.L_INFTY: SHARE,
    anomalies_pb2.DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE: DIVERGENCE,
}


def summarize(store: MetadataStore, components: dict[str, dict], domain: str) -> dict[str, Any] | None:
    """Return the domains of the training split and how each column drifted since the folder's data before.

    Args:
        store: the metadata store of the run folder. components: of the run (see `node_runs`).
        domain: the column of the domain.

    Returns:
        `domains`: training rows by domain, the largest first, at most the 1,000 that TFDV lists; `before`:
        the same of the data before; `drift`: see `drift`. Both are None where the folder had no other
        data. None where the run made no statistics.
    """
    if "StatisticsGen" not in components:
        return None
    uri = components["StatisticsGen"]["outputs"]["statistics"]["uri"]
    now = tfdv.load_stats_binary(os.path.join(uri, TRAIN))
    earlier = earlier_output(store, "StatisticsGen", "statistics", uri)
    path = earlier and os.path.join(earlier, TRAIN)
    before = tfdv.load_stats_binary(path) if path and os.path.isfile(path) else None
    return {
        "domains": _rows_by_value(now, domain),
        "before": before and _rows_by_value(before, domain),
        "drift": before and drift(now, before),
    }


def drift(now: Statistics, before: Statistics) -> list[dict[str, Any]]:
    """Return how far the distribution of each column that both have is from what it was, by TFDV.

    Returns:
        `column`, `measure` (strings: the largest change of one value's share; numbers: the Jensen-Shannon
        divergence) and `value`, the largest first. The time is left out: it always moves.
    """
    columns, past = by_column(now), by_column(before)
    schema = schema_pb2.Schema()
    for name in columns.keys() & past.keys() - {TIME}:
        if not (present(columns[name]) and present(past[name])):
            continue
        text = is_strings(columns[name])
        feature = schema.feature.add(name=name, type=schema_pb2.BYTES if text else schema_pb2.FLOAT)
        comparator = feature.drift_comparator
        kind = comparator.infinity_norm if text else comparator.jensen_shannon_divergence
        kind.threshold = 0.0  # everything is measured; what is too much is said where it is shown
        if name == LABEL:
            feature.type = schema_pb2.INT
    found = tfdv.validate_statistics(now, schema, previous_statistics=before).drift_skew_info
    measured = [
        {"column": info.path.step[0], "measure": MEASURES[one.type], "value": one.value}
        for info in found
        for one in info.drift_measurements
    ]
    return sorted(measured, key=lambda one: (-one["value"], one["column"]))


def _rows_by_value(statistics: Statistics, column: str) -> dict[str, int]:
    found = by_column(statistics).get(column)
    return {value: int(rows) for value, rows in value_counts(found)[0].items()} if is_strings(found) else {}
