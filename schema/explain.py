"""Says what is wrong in settings: the key, the value, what is allowed and the nearest match."""

import types
import typing

from pydantic import BaseModel, ValidationError

from schema.suggest import nearest


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """Return one line per fault of a failed validation.

    Args:
        error: what pydantic raised.
        model: the class that was validated.
        source: what was read, such as the name of the config file.
    """
    lines = [_line(fault, model) for fault in error.errors(include_url=False)]
    return "\n".join([f"{source}: {len(lines)} {'error' if len(lines) == 1 else 'errors'}", *lines])


def _line(fault: dict, model: type[BaseModel]) -> str:
    where, parent = _walk(fault["loc"], model)
    given = fault["input"]
    if fault["type"] == "extra_forbidden":
        allowed = list(parent.model_fields) if parent else []
        return (
            f"  {where} is not a key; allowed: {', '.join(allowed)}.{nearest(str(fault['loc'][-1]), allowed)}"
        )
    if fault["type"] == "missing":
        return f"  {where} is missing."
    message = fault["msg"].removeprefix("Value error, ").rstrip(".")
    if isinstance(given, dict | BaseModel) or not where:
        return f"  {where or 'config'}: {message}."
    hint = nearest(str(given), _choices(fault))
    return f"  {where} is {given!r}: {message}.{hint}"


def _choices(fault: dict) -> list[str]:
    expected = str(fault.get("ctx", {}).get("expected", "")) + str(
        fault.get("ctx", {}).get("expected_tags", "")
    )
    return [choice.strip("' ") for choice in expected.replace(" or ", ", ").split(", ")]


def _walk(loc: tuple, model: type[BaseModel]) -> tuple[str, type[BaseModel] | None]:
    """Return the dotted key as the user wrote it, and the settings class that holds its last part."""
    names, holder, annotation = [], model, model
    for part in loc:
        members = _models(annotation)
        tagged = [m for m in members if "kind" in m.model_fields and m.model_fields["kind"].default == part]
        if tagged:  # pydantic names the chosen kind of feature in the path; the user did not write it
            annotation = tagged[0]
            continue
        names.append(str(part))
        if members:
            holder = members[0]
            field = holder.model_fields.get(part)
            annotation = field.annotation if field else None
        else:
            holder = None
            arguments = typing.get_args(annotation)
            annotation = arguments[-1] if arguments else None
    return ".".join(names), holder


def _models(annotation) -> list[type[BaseModel]]:
    """Return the settings classes an annotation stands for: itself, or the members of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _models(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [model for argument in typing.get_args(annotation) for model in _models(argument)]
    return []
