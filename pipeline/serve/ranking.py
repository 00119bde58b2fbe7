"""Recommendations of a served model, asked for as a JSON object."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.export import PROBABILITY
from pipeline.predict import find_model
from pipeline.recommend import Ask, rank, read_context, with_ids_as_ingested
from pipeline.serve.batcher import Queue
from pipeline.serve.columns import Column
from pipeline.serve.errors import InvalidRequest
from pipeline.serve.served_model import COLUMNS, Batching, ServedModel
from schema.suggest import nearest

# What each key of a request must be, besides being left out.
KINDS = {"user": str, "domain": str, "k": int, "candidates": list, "context": dict}


def recommend(model: ServedModel, request: dict) -> dict[str, Any]:
    """Answer `{"user": …, "domain": …, "k": 20, "candidates": […], "context": {…}}` with the best items.

    Args:
        model: what serves. request: see `pipeline.recommend.Ask`; only user and domain are needed.

    Returns:
        `items` (see `pipeline.recommend.rank`), and whether the model knows the user and the domain.

    Raises:
        ServeError: the request is wrong, or there is no room for it.
    """
    return _answer(model, _read(request))


def recommend_once(target: Path, ask: Ask, context: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """Answer without a server.

    Args:
        target: a push target, whose newest version is taken, or a version's folder.
        ask: what is to be ranked. context: `feature=value` texts.

    Raises:
        ValueError: no model is there, it holds no tables, or the context is wrong.
    """
    rows = sys.maxsize
    model = ServedModel(find_model(target), Batching(Queue(rows, 1), rows, 1))
    given = read_context(context, model.log)
    try:
        return _answer(model, replace(ask, context=given))
    except InvalidRequest as error:
        raise ValueError(str(error)) from None


def _answer(model: ServedModel, ask: Ask) -> dict[str, Any]:
    if model.lookup is None:
        raise InvalidRequest(
            f"version {model.number} holds no tables of users and items; mdr run pushes them with a model"
            " whose log names user and item."
        )
    ask = with_ids_as_ingested(ask)
    try:
        items = rank(model.lookup, ask, lambda columns: score(model, columns))
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
    known = {"known_user": model.lookup.knows_user(ask.user), "known_domain": ask.domain in model.domains}
    return {"items": items, **known}


def score(model: ServedModel, columns: dict[str, list]) -> np.ndarray:
    """Return the click probability of each row of raw columns."""
    signature = model.signature(COLUMNS)
    return signature.run(signature.read(columns, Column.from_json))[PROBABILITY]


def _read(request: dict) -> Ask:
    for name, value in request.items():
        if name not in KINDS:
            raise InvalidRequest(f"no key {name!r}; there are: {', '.join(KINDS)}.{nearest(name, KINDS)}")
        if type(value) is not KINDS[name]:
            raise InvalidRequest(f"{name!r} must be {KINDS[name].__name__}; it is {str(value)[:40]!r}.")
    for name in ("user", "domain"):
        if name not in request:
            raise InvalidRequest(f"the request needs the key {name!r}.")
    if not all(type(item) is str for item in request.get("candidates", ())):
        raise InvalidRequest("'candidates' must be a list of strings.")
    return Ask(**request)
