"""The plots of what D3 found in each domain: which fields tell it, how complex and how specific it is."""

from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from pipeline.history import exported_epoch
from pipeline.report.plots import BLUE, GREY, NAMED, ORANGE, SHADES, height, html

# The rest of Okabe and Ito's palette that is seen on white; each line has a dash of its own, too.
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
WORDS = {"complexity": "complexity (Eq. 17)", "specificity": "specificity (Eq. 18)"}
MOST = 200  # domains of the heat map


def section(history: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what `balance.html.j2` shows: figures and plots; None for a training without D3.

    Args:
        history: what was measured in each epoch.
    """
    told = [row for row in history if "d3" in row]
    if not told:
        return None
    exported = exported_epoch(history)
    last = next((row for row in told if row["epoch"] == exported), told[-1])["d3"]
    begin = next((row["epoch"] for row in told if row["d3"]["weights_on"]), None)
    seen = {name: values["attention"] for name, values in last["domains"].items() if values["attention"]}
    kinds = [kind for kind in WORDS if any(values[kind] is not None for values in last["domains"].values())]
    return {
        "epoch": exported,
        "begin": begin,
        "domains": last["n_domains"],
        "shown": min(len(seen), MOST),
        "even": 1 / len(last["fields"]),
        "attention": Markup(attention(dict(list(seen.items())[:MOST]), last["fields"])) if seen else "",
        "weights": [Markup(weights(told, kind, begin)) for kind in kinds],
    }


def attention(domains: dict[str, list[float]], fields: list[str]) -> str:
    """Return the heat map of how much attention each field gets in each domain, as an HTML fragment."""
    names, few = list(domains), len(domains) <= NAMED
    figure = go.Figure()
    figure.add_heatmap(
        x=fields,
        y=names,
        z=list(domains.values()),
        # Both, or plotly takes neither. Up to twice an even share, so that noise about it has no colours.
        zmin=0,
        zmax=max(2 / len(fields), *(share for shares in domains.values() for share in shares)),
        colorscale=SHADES,
        xgap=1,
        ygap=1 if few else 0,
        colorbar={"orientation": "h", "thickness": 12, "y": 0, "yref": "container", "yanchor": "bottom"},
        hovertemplate="%{y}: %{z:.3f} of its attention on %{x}<extra></extra>",
    )
    figure.update_layout(height=130 + height(len(names)))
    axis = {"type": "category", "ticks": "", "fixedrange": True, "showline": False}
    figure.update_xaxes(**axis, side="top", automargin=True)
    figure.update_yaxes(**axis, autorange="reversed", showticklabels=few)
    return html(figure, top=10, bottom=50)


def weights(told: list[dict[str, Any]], kind: str, begin: int | None) -> str:
    """Return the plot of the domains' mean loss weight of a kind by epoch, as an HTML fragment.

    Args:
        told: the epochs that D3 took part in. kind: `complexity` or `specificity`.
        begin: epoch from which on the losses were weighed, if any.
    """
    epochs = [row["epoch"] for row in told]
    lines = {name: [row["d3"]["domains"][name][kind] for row in told] for name in told[-1]["d3"]["domains"]}
    # The domains that are furthest from the others are named: they are what there is to see.
    known = {name: line[-1] for name, line in lines.items() if line[-1] is not None}
    middle = sorted(known.values())[len(known) // 2] if known else 0
    named = sorted(known, key=lambda name: -abs(known[name] - middle))[: len(COLOURS)]
    figure = go.Figure()
    others = [name for name in lines if name not in named]
    figure.add_scatter(
        x=[*epochs, None] * len(others),
        y=[value for name in others for value in (*lines[name], None)],
        text=[name for name in others for _ in (*epochs, None)],
        mode="lines",
        name="other domains",
        line={"color": GREY, "width": 1},
        opacity=0.5,
        showlegend=bool(others),
        hovertemplate="%{text}: %{y:.3f} in epoch %{x}<extra></extra>",
    )
    for name, colour, dash in zip(named, COLOURS, DASHES, strict=False):
        figure.add_scatter(
            x=epochs,
            y=lines[name],
            mode="lines+markers",
            name=name,
            line={"color": colour, "dash": dash},
            hovertemplate="%{fullData.name}: %{y:.3f} in epoch %{x}<extra></extra>",
        )
    if begin is not None:
        figure.add_vline(x=begin - 0.5, line_width=1.5, line_color=GREY, line_dash="dot")
    figure.update_layout(
        height=340,
        xaxis={"title": "epoch", "dtick": max(1, len(epochs) // 10), "fixedrange": True},
        yaxis={"title": WORDS[kind], "fixedrange": True},
    )
    return html(figure, top=90)
