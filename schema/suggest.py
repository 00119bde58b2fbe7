"""The nearest match of a mistyped name, for error messages."""

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the closest of `names`, or nothing when none is close."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
