"""A block of JSON lines as a table: by pyarrow where it keeps what values say, else line by line."""

import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json


def parse(text: bytes) -> pa.Table | None:
    """Return a block as a table; None where pyarrow would change what a value says.

    Raises:
        pa.ArrowInvalid: a line is no JSON, or a column mixes types.
    """
    if not is_utf8(text):
        return None
    table = pa_json.read_json(pa.BufferReader(text))
    as_text = {pa.timestamp("s"): pa.string(), pa.list_(pa.timestamp("s")): pa.list_(pa.string())}
    dates = [(field.name, as_text[field.type]) for field in table.schema if field.type in as_text]
    if dates:  # text that looks like a date stays the text it is
        options = pa_json.ParseOptions(explicit_schema=pa.schema(dates))
        table = pa_json.read_json(pa.BufferReader(text), parse_options=options)
    # Integers that did not fit became floats, which lose digits from here on.
    floats = (column for column in table.columns if pa.types.is_floating(column.type))
    exact = all((pc.max(pc.abs(column)).as_py() or 0) < 2**53 for column in floats)
    return table if exact else None


def rows(text: bytes) -> Iterator[tuple[int, dict | None, str, str]]:
    """Yield line offset, object, fault and text of every line that is not blank."""
    for offset, raw in enumerate(text.split(b"\n")):
        if not raw.strip():
            continue
        shown = raw.decode("utf-8", errors="replace")
        try:
            row = json.loads(raw)
            json.dumps(row, ensure_ascii=False).encode()  # an escape may be half of a character
        except UnicodeError:
            yield offset, None, "not UTF-8", shown
        except ValueError:
            yield offset, None, "not JSON", shown
        else:
            yield offset, row, "" if isinstance(row, dict) else "not a JSON object", shown


def loose_array(values: list) -> pa.Array:
    """Return an array of JSON values; those of mixed types become text, so that one row retypes no other.

    Where most are lists, the result is one of lists, and a single value a list of one.
    """
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        lists = [isinstance(value, list) for value in values if value is not None]
        if 2 * sum(lists) <= len(lists):
            return pa.array(map(_text, values), pa.string())
        wrapped = (value if isinstance(value, list | None) else [value] for value in values)
        texts = [value if value is None else list(map(_text, value)) for value in wrapped]
        return pa.array(texts, pa.list_(pa.string()))


def _text(value) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


def is_utf8(raw: bytes) -> bool:
    """Return whether bytes are UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
