"""ServingLookup as a TFX component."""

import json
import os
from pathlib import Path

import polars as pl
import tensorflow as tf
from tfx import v1 as tfx
from tfx.types import artifact_utils

from components.item_popularity.popularity import ITEMS_BY_DOMAIN
from components.serving_lookup.files import ITEMS, OWNERS, POPULAR, USERS
from components.serving_lookup.tables import Newest, owners, popular, read_rows
from schema import progress
from schema.log_schema import LogSchema


@tfx.dsl.components.component
def ServingLookup(
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    popularity: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ExampleStatistics],
    lookup: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ExampleStatistics],
    log: tfx.dsl.components.Parameter[str],
    code: tfx.dsl.components.Parameter[str] = "",
):
    """Write the newest row of each user and item, whose property each feature is, and the popular items.

    Args:
        examples: of all splits: at serving time the newest rows are known, too.
        popularity: from ItemPopularity, of the training split.
        lookup: receives `users.parquet`, `items.parquet`, `popular.parquet` and `owners.json`, and as custom
            properties the numbers `users` and `items`; nothing where the log names no user or no item.
        log: `LogSchema` as JSON.
        code: hash of the source, for the cache only.
    """
    schema, folder = LogSchema.model_validate_json(log), Path(lookup.uri)
    lookup.split_names = artifact_utils.encode_split_names([])
    if schema.user is None or schema.item is None:
        return
    newest, rows = Newest(schema), 0
    for split in artifact_utils.decode_split_names(examples.split_names):
        place = artifact_utils.get_split_uri([examples], split)
        for file in sorted(tf.io.gfile.glob(os.path.join(place, "*"))):
            for part in read_rows(file, schema):
                newest.add(part)
                rows += len(part)
    users = newest.with_clicks()
    users.write_parquet(folder / USERS)
    newest.items.write_parquet(folder / ITEMS)
    popular(pl.read_parquet(os.path.join(popularity.uri, ITEMS_BY_DOMAIN))).write_parquet(folder / POPULAR)
    found = owners(newest)
    (folder / OWNERS).write_text(json.dumps(found, indent=1), encoding="utf-8")
    lookup.set_int_custom_property("users", len(users))
    lookup.set_int_custom_property("items", len(newest.items))
    progress.report("ServingLookup", rows=rows, users=len(users), items=len(newest.items))
