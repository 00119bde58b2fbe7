"""ItemPopularity as a TFX component."""

import os

import apache_beam as beam
import pyarrow.compute as pc
import pyarrow.parquet as pq
from apache_beam.io import fileio
from tfx import v1 as tfx
from tfx.types import artifact_utils

from components.item_popularity.popularity import (
    COUNTS,
    ITEMS,
    ITEMS_BY_DOMAIN,
    CountItems,
    write_popularity,
)
from schema import progress
from schema.log_schema import LogSchema


@tfx.dsl.components.component(use_beam=True)
def ItemPopularity(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    popularity: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ExampleStatistics],
    log: tfx.dsl.components.Parameter[str],
    code: tfx.dsl.components.Parameter[str] = "",
    beam_pipeline: tfx.dsl.components.BeamComponentParameter[beam.Pipeline] = None,
):
    """Write impressions, positives and smoothed rate per item and per item and domain of the training split.

    Args:
        examples: whose split `train` is counted.
        popularity: receives `items.parquet` and `items_by_domain.parquet`, both without rows if the log names
            no item, and as custom properties the numbers `items`, `pairs`, `impressions` and `positives`.
        log: `LogSchema` as JSON.
        code: hash of the source, for the cache only.
        beam_pipeline: where to run.
    """
    log_schema = LogSchema.model_validate_json(log)
    popularity.split_names = artifact_utils.encode_split_names(["train"])
    if log_schema.item is None:
        write_popularity(COUNTS.empty_table(), popularity.uri)
    else:
        train = artifact_utils.get_split_uri([examples], "train")
        with beam_pipeline as pipeline:
            (
                pipeline
                | "Files" >> beam.Create([os.path.join(train, "*")])
                | "Match" >> fileio.MatchAll()
                | "Path" >> beam.Map(lambda file: file.path)
                | "CountItems" >> CountItems(log_schema)
                | "Write" >> beam.Map(write_popularity, popularity.uri)
            )
    items = pq.read_table(os.path.join(popularity.uri, ITEMS))
    figures = {
        "items": items.num_rows,
        "pairs": pq.read_metadata(os.path.join(popularity.uri, ITEMS_BY_DOMAIN)).num_rows,
        "impressions": pc.sum(items["impressions"]).as_py() or 0,
        "positives": pc.sum(items["positives"]).as_py() or 0,
    }
    for name, value in figures.items():
        popularity.set_int_custom_property(name, value)
    progress.report("ItemPopularity", rows=figures["impressions"], items=figures["items"])
