"""Ranks items for a user in a domain: candidates, scored in one batch, without what the user has clicked."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from components.model_pusher.push import LOOKUP
from components.serving_lookup.files import ANY_DOMAIN, CLICKED, ITEMS, OWNERS, POPULAR, USERS
from schema.log_schema import WHOLE_FLOAT, LogSchema
from schema.suggest import nearest


@dataclass(frozen=True)
class Ask:
    """What is to be ranked.

    Attributes:
        user, domain: their names; unknown ones get an answer, too.
        k: how many items at most.
        candidates: ids of items; None takes the popular ones of the domain.
        context: values of features, which replace what is known; such as {"device": "phone"}.
    """

    user: str
    domain: str
    k: int = 20
    candidates: list[str] | None = None
    context: dict[str, Any] = field(default_factory=dict)


class Lookup:
    """The tables beside a pushed model.

    Args:
        folder: the version's. log: what each column means.

    Attributes:
        users: known users, those seen last first.
    """

    def __init__(self, folder: Path, log: LogSchema):
        place = folder / LOOKUP
        self._log = log
        self._owners = json.loads((place / OWNERS).read_text(encoding="utf-8"))
        self._users, self._user_rows = _table(place / USERS, log.user)
        self._items, self._item_rows = _table(place / ITEMS, log.item)
        self._popular = dict(pl.read_parquet(place / POPULAR).group_by("domain").agg("item").iter_rows())
        self.users = list(reversed(self._user_rows))

    def candidates(self, ask: Ask) -> list[str]:
        """Return the items to score, each once, without those that the user has clicked."""
        if ask.candidates is not None:
            given = ask.candidates
        else:
            given = self._popular.get(ask.domain) or self._popular[ANY_DOMAIN]
        clicked = set(self._user(ask.user).get(CLICKED) or ())
        return [item for item in dict.fromkeys(given) if item not in clicked]

    def columns(self, ask: Ask, items: list[str]) -> dict[str, list]:
        """Return the raw columns of one impression per item, None where a value is not known.

        A feature that is the item's comes from the item's newest row; all others come from the user's newest
        row, unless `ask.context` says them.

        Raises:
            ValueError: the context names no feature.
        """
        log, user = self._log, self._user(ask.user)
        for name in ask.context:
            if name not in log.features or name in (log.user, log.item):
                there = [name for name in log.features if name not in (log.user, log.item)]
                raise ValueError(
                    f"context: {name!r} is no feature; there are: {', '.join(there)}.{nearest(name, there)}"
                )
        rows = [self._item_rows.get(item) for item in items]
        columns = {log.domain: [ask.domain] * len(items)}
        for name in log.features:
            if name == log.user:
                columns[name] = [ask.user] * len(items)
            elif name == log.item:
                columns[name] = items
            elif name in ask.context:
                columns[name] = [ask.context[name]] * len(items)
            elif self._owners[name] == "item":
                values = self._items[name]
                columns[name] = [None if row is None else values[row] for row in rows]
            else:
                columns[name] = [user.get(name)] * len(items)
        return columns

    def knows_user(self, user: str) -> bool:
        """Return whether the logs had this user."""
        return user in self._user_rows

    def _user(self, user: str) -> dict[str, Any]:
        row = self._user_rows.get(user)
        return {} if row is None else {name: values[row] for name, values in self._users.items()}


def rank(lookup: Lookup, ask: Ask, score: Callable[[dict[str, list]], np.ndarray]) -> list[dict[str, Any]]:
    """Return the best items, best first: `item` and `probability`.

    Args:
        lookup: the tables. ask: what is to be ranked. score: maps raw columns to probabilities.

    Raises:
        ValueError: k is less than 1, or the context names no feature.
    """
    if ask.k < 1:
        raise ValueError(f"k is {ask.k}; it must be 1 or more.")
    items = lookup.candidates(ask)
    columns = lookup.columns(ask, items)
    if not items:
        return []
    scores = score(columns)
    best = np.argsort(-scores, kind="stable")[: ask.k]  # equal ones in the candidates' order
    return [{"item": items[row], "probability": float(scores[row])} for row in best]


def with_ids_as_ingested(ask: Ask) -> Ask:
    """Return an ask whose ids are written as in the tables: `12.0` is the id `12`."""
    user, *items = (re.sub(WHOLE_FLOAT, r"\1", text) for text in (ask.user, *(ask.candidates or ())))
    return replace(ask, user=user, candidates=None if ask.candidates is None else items)


def read_candidates(file: Path) -> list[str]:
    """Return the item ids of a text file, one a line.

    Raises:
        ValueError: it holds none, or cannot be read.
    """
    try:
        items = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not readable as a list of item ids: {error}.") from None
    if not items:
        raise ValueError(f"{file} holds no item ids; it must hold one a line.")
    return items


def read_context(pairs: list[str] | tuple[str, ...], log: LogSchema) -> dict[str, Any]:
    """Return the features of `name=value` texts; a sequence's values stand between its separators.

    Raises:
        ValueError: a text of another form, or no number for a numeric feature.
    """
    context = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"context {pair!r} is not of the form feature=value.")
        feature = log.features.get(name)
        if feature is not None and feature.kind == "numeric":
            try:
                context[name] = float(text)
            except ValueError:
                raise ValueError(f"context: {name} is {text!r}; it must be a number.") from None
        elif feature is not None and feature.kind == "sequence":
            context[name] = text.split(feature.separator)
        else:
            context[name] = text
    return context


def _table(file: Path, key: str) -> tuple[dict[str, list], dict[str, int]]:
    """Return the columns of a table, and the row of each key."""
    columns = pl.read_parquet(file).to_dict(as_series=False)
    return columns, {value: row for row, value in enumerate(columns[key])}
