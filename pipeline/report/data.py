"""What the report says of the data: the domains' shares, and how it drifted since the folder's last run."""

from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from pipeline.report import plots
from pipeline.results import Results

SHOWN = 40  # domains in the plot; the table has them all


def section(results: Results) -> dict[str, Any] | None:
    """Return what the template shows: `domains`, `shares` (a plot), `drift`, `limit`; None for no statistics.

    `drift` is None where the folder had no other data before; a column is `far` where it moved further than
    `limit`, the skew that the config allows between splits.
    """
    data = results.record.get("data")
    if not data:
        return None
    limit = results.config.checks.max_skew
    drifted = data["drift"] and [{**one, "far": one["value"] > limit} for one in data["drift"]]
    now, before = _shares(data["domains"]), _shares(data["before"] or {})
    domains = [
        {
            "name": name,
            "rows": data["domains"].get(name, 0),
            "share": now.get(name),
            "before": before.get(name),
        }
        for name in [*now, *(name for name in before if name not in now)]
    ]
    return {
        "domains": domains,
        "shares": Markup(shares(domains)) if domains else "",
        "drift": drifted,
        "limit": limit,
        "new": [one["name"] for one in domains if before and one["before"] is None],
        "gone": [one["name"] for one in domains if one["share"] is None],
    }


def shares(domains: list[dict[str, Any]]) -> str:
    """Return the plot of the largest domains' shares of the training rows as an HTML fragment."""
    shown = domains[:SHOWN][::-1]
    names = [one["name"] for one in shown]
    figure = go.Figure()
    figure.add_bar(
        x=[one["share"] for one in shown],
        y=names,
        orientation="h",
        name="this run",
        marker_color=plots.BLUE,
        hovertemplate="%{y}: %{x:.2%}<extra></extra>",
    )
    if any(one["before"] is not None for one in shown):
        figure.add_scatter(
            x=[one["before"] for one in shown],
            y=names,
            mode="markers",
            name="the data before",
            marker={"color": plots.ORANGE, "symbol": "line-ns-open", "size": 12},
            hovertemplate="%{y}: %{x:.2%} before<extra></extra>",
        )
    figure.update_layout(height=plots.height(len(shown)) + 110, xaxis_title="share of the training rows")
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(type="category")
    return plots.html(figure)


def _shares(rows: dict[str, int]) -> dict[str, float]:
    total = sum(rows.values())
    return {name: count / total for name, count in rows.items()}
