"""Changes a few keys of checked settings, as a run-time parameter of a cluster gives them."""

import json
from typing import TypeVar

from pydantic import ValidationError

from schema.base import Settings
from schema.explain import explain

S = TypeVar("S", bound=Settings)


def overridden(settings: S, overrides: str, source: str) -> S:
    """Return the settings with some keys changed, checked again as a whole.

    Args:
        settings: as the config has them.
        overrides: JSON text of the keys to change, such as `{"overall": {"min_auc": 0.6}}`; a part that is
            itself made of settings keeps its other keys, any other value is replaced. Empty for none.
        source: what the overrides are called in errors.

    Raises:
        ValueError: no JSON object, or a key or value that the settings do not have.
    """
    try:
        changes = json.loads(overrides or "{}")
    except ValueError as error:
        raise ValueError(f"{source} is {overrides!r}, which is no JSON: {error}.") from None
    if not isinstance(changes, dict):
        raise ValueError(f'{source} is {overrides!r}; it must be a JSON object such as {{"key": "value"}}.')
    try:
        return type(settings).model_validate(_merged(settings, changes))
    except ValidationError as error:
        raise ValueError(explain(error, type(settings), source)) from None


def _merged(settings: Settings, changes: dict) -> dict:
    values = settings.model_dump()
    for key, value in changes.items():
        part = getattr(settings, key, None)
        inner = isinstance(part, Settings) and isinstance(value, dict)
        values[key] = _merged(part, value) if inner else value
    return values
