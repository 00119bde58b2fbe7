"""Ranking with small tables beside a model whose answers are given."""

import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from components.model_pusher.push import LOOKUP
from components.serving_lookup.files import CLICKED, ITEMS, OWNERS, POPULAR, USERS
from models.export import PROBABILITY
from pipeline.recommend import Lookup
from pipeline.serve.ranking import recommend
from schema.log_schema import LogSchema

FEATURES = {"user": {}, "item": {}, "segment": {}, "brand": {}}
LOG = LogSchema(domain="channel", label={"column": "click"}, user="user", item="item", features=FEATURES)


@pytest.fixture
def model(tmp_path):
    """A served model that scores every row alike; `asked` holds the columns it was given."""
    place = tmp_path / LOOKUP
    place.mkdir(parents=True)
    (place / OWNERS).write_text(json.dumps({"segment": "user", "brand": "item"}))
    pl.DataFrame({"user": ["5"], "segment": ["gold"], CLICKED: [["1"]]}).write_parquet(place / USERS)
    pl.DataFrame({"item": ["1", "2"], "brand": ["a", "b"]}).write_parquet(place / ITEMS)
    pl.DataFrame({"domain": ["news"], "item": ["1"]}).write_parquet(place / POPULAR)
    asked = {}

    def run(columns):
        asked.update(columns)
        return {PROBABILITY: np.zeros(len(columns["item"]))}

    signature = SimpleNamespace(read=lambda columns, convert: columns, run=run)
    return SimpleNamespace(
        lookup=Lookup(tmp_path, LOG), domains=["news"], signature=lambda name: signature, asked=asked
    )


def test_ids_are_looked_up_as_ingest_writes_them(model):
    request = {"user": "5.0", "domain": "news", "candidates": ["1.0", "2.0", "2", "x.0"]}
    answer = recommend(model, request)
    assert [each["item"] for each in answer["items"]] == ["2", "x.0"]  # the user has clicked item 1
    assert answer["known_user"]
    assert (model.asked["segment"], model.asked["brand"]) == (["gold"] * 2, ["b", None])
