"""The plots of how well domains can be told apart, and where the dominant ones' rows went (SSCTL)."""

from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from pipeline.report.plots import GREY, MAX_LABELLED, ORANGE, SHADES, html


def section(classifier: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what `classifier.html.j2` shows: figures and plots; None for a run without a classifier.

    Args:
        classifier: see `pipeline.results.Results`.
    """
    if classifier is None:
        return None
    quality = classifier["quality"]
    several = len(quality["classes"]) > 1 and quality["accuracy"] is not None
    return {
        **classifier,
        "several": several,
        "without": [target["domain"] for target in classifier["targets"] if not target["rows"]],
        "confusion": Markup(confusion(quality)) if several else "",
        "reliability": Markup(reliability(quality["calibration"]["bins"])) if several else "",
        "confidence": Markup(confidence(classifier["targets"])) if several else "",
    }


def confusion(quality: dict[str, Any]) -> str:
    """Return the heat map of held-out rows by true and said domain as an HTML fragment."""
    names, rows = quality["classes"], quality["confusion"]
    figure = go.Figure()
    figure.add_heatmap(
        x=names,
        y=names,
        z=[[count / max(sum(row), 1) for count in row] for row in rows],
        text=[[f"{count:,}" for count in row] for row in rows],
        colorscale=SHADES,
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        texttemplate="%{text}" if len(names) <= MAX_LABELLED else "",
        colorbar={"title": "share", "tickformat": ".0%"},
        hovertemplate="%{text} rows of %{y} (%{z:.1%}) were said to be of %{x}<extra></extra>",
    )
    figure.update_layout(height=160 + 26 * max(len(names), 3))
    figure.update_xaxes(title="said", type="category")
    figure.update_yaxes(title="true", type="category", autorange="reversed")
    return html(figure, top=10)


def reliability(bins: list[dict[str, Any]]) -> str:
    """Return the plot of how often the classifier is right by how sure it is, as an HTML fragment."""
    figure = go.Figure()
    ends = {"mode": "lines", "line": {"color": GREY, "dash": "dot"}, "hoverinfo": "skip"}
    figure.add_scatter(x=[0, 1], y=[0, 1], name="perfectly calibrated", **ends)
    figure.add_scatter(
        x=[one["confidence"] for one in bins],
        y=[one["accuracy"] for one in bins],
        mode="lines+markers",
        name="this classifier",
        marker={"color": ORANGE, "size": 9},
        customdata=[one["rows"] for one in bins],
        hovertemplate="sure of %{x:.1%}, right in %{y:.1%} of %{customdata:,} rows<extra></extra>",
    )
    share = {"range": [0, 1.02], "tickformat": ".0%"}
    figure.update_layout(
        height=300, xaxis={"title": "confidence", **share}, yaxis={"title": "right", **share}
    )
    return html(figure)


def confidence(targets: list[dict[str, Any]]) -> str:
    """Return the heat map of pseudo-labelled rows by domain and confidence as an HTML fragment."""
    figure = go.Figure()
    bins = len(targets[0]["bins"])
    figure.add_heatmap(
        x=[(place + 0.5) / bins for place in range(bins)],
        y=[target["domain"] for target in targets],
        z=[target["bins"] for target in targets],
        colorscale=SHADES,
        zmin=0,
        zmax=max(1, *(count for target in targets for count in target["bins"])),
        xgap=1,
        ygap=1,
        colorbar={"title": "rows"},
        hovertemplate="%{z:,} rows to %{y} with a confidence of about %{x:.1%}<extra></extra>",
    )
    figure.update_layout(height=140 + 26 * max(len(targets), 3))
    figure.update_xaxes(title="confidence", range=[0, 1], tickformat=".0%")
    figure.update_yaxes(type="category", autorange="reversed")
    return html(figure, top=10)
