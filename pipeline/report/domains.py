"""What the report says of each domain: figures with intervals, and what changed since the last push."""

from typing import Any, NamedTuple

UP, DOWN, SAME = "▲", "▼", "≈"
WORDS = {UP: "surely better", DOWN: "surely worse", SAME: "no sure change"}


class Line(NamedTuple):
    """One line of the table.

    Attributes:
        name: of the domain. figures: of the slice. interval: of its AUC, None where unknown.
        change: of the AUC as an estimate, None without a baseline or where unknown. arrow: of that.
    """

    name: str
    figures: dict[str, Any]
    interval: list[float] | None
    change: dict[str, Any] | None
    arrow: str


def lines(metrics: dict[str, Any]) -> list[Line]:
    """Return the line over all rows, then one for each domain, the largest first.

    Args:
        metrics: content of the evaluator's `metrics.json`.
    """
    changes = metrics["changes"] or {"overall": {}, "domains": {}}
    by_size = sorted(metrics["domains"].items(), key=lambda item: -item[1]["rows"])
    found = [_line("all rows", metrics["overall"], changes["overall"].get("auc"))]
    return found + [_line(name, one, changes["domains"].get(name, {}).get("auc")) for name, one in by_size]


def arrow(change: dict[str, Any] | None) -> str:
    """Return whether a change is surely up, surely down or neither; empty where that is not known."""
    if change is None or change["low"] is None:
        return ""
    return UP if change["low"] > 0 else DOWN if change["high"] < 0 else SAME


def crossings(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a table for each crossing: `name`, its `values`, and the AUC by domain and value as `rows`."""
    tables = []
    for name, domains in metrics["crossings"].items():
        values = sorted({value for own in domains.values() for value in own})
        rows = {domain: [own.get(value) for value in values] for domain, own in domains.items()}
        by_size = sorted(rows, key=lambda domain: -metrics["domains"][domain]["rows"])
        tables.append({"name": name, "values": values, "rows": {domain: rows[domain] for domain in by_size}})
    return tables


def _line(name: str, figures: dict[str, Any], change: dict[str, Any] | None) -> Line:
    known = change if change and change["value"] is not None else None
    return Line(name, figures, figures["intervals"].get("auc"), known, arrow(known))
