"""The plots of which experts each domain uses, and how its mask was found (AREAD, sections 2.4 and 3.5)."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from scipy.cluster.hierarchy import dendrogram

from pipeline import expert_masks
from pipeline.expert_masks import Comparison, ExpertMasks, above_chosen
from pipeline.report.plots import BLUE, GREY, NAMED, ORANGE, height, html

WHITE, PALE, LIGHT, DARK = "#FFFFFF", "#E8E8E8", "#A6CEE6", "#004A75"
LONG = 16  # letters of a name that a narrow screen has room for


def section(history: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what `experts.html.j2` shows: masks, figures and plots; None for a method without masks.

    Args:
        history: what was measured in each epoch.
    """
    found = expert_masks.read(history)
    if found is None:
        return None
    compared = Comparison(found.domains, found.masks)
    notes = {name: note for name, note in found.found.items() if "chosen" in note}  # one that was searched
    if not notes and found.searches:
        notes = found.searches[-1]["domains"]
    judged = {name: note for name, note in notes.items() if note["chosen"] is not None}
    return {
        "masks": found,
        "compared": compared,
        "unjudged": [name for name in notes if name not in judged],
        "overlap": Markup(overlap(compared)) if compared.tree is not None else "",
        "active": Markup(active(found, compared)) if found.found else "",
        "numbers": numbers(found, compared) if found.found else [],
        "sparsity": Markup(sparsity(found)) if found.searches else "",
        "losses": Markup(losses(judged)) if judged else "",
    }


def overlap(compared: Comparison) -> str:
    """Return the heat map of overlap ratios, the tree that orders it beside it, as an HTML fragment."""
    names, ratios = compared.names, compared.overlap
    others = ratios[~np.eye(len(names), dtype=bool)]
    top = min(1.0, max(others.max(), 2 * compared.random))  # the diagonal of ones would take all contrast
    figure = go.Figure()
    figure.add_heatmap(
        x=names,
        y=names,
        z=ratios.astype("float32"),
        zmin=0,
        zmax=top,
        colorscale=[[0, ORANGE], [compared.random / top, WHITE], [1, BLUE]],
        colorbar={"orientation": "h", "thickness": 12, "y": 0, "yref": "container", "yanchor": "bottom"},
        hovertemplate="%{y} and %{x}: overlap %{z:.3f}<extra></extra>",
    )
    drawn = dendrogram(compared.tree, no_plot=True)
    gaps = np.full((len(names) - 1, 1), np.nan)  # between the branches, all in one trace
    figure.add_scatter(
        x=np.hstack([drawn["dcoord"], gaps]).ravel(),
        y=(np.hstack([drawn["icoord"], gaps]).ravel() - 5) / 10,  # SciPy's leaves stand at 5, 15, 25
        customdata=np.repeat([1 - branch[1] for branch in drawn["dcoord"]], 5),
        xaxis="x2",
        yaxis="y2",
        mode="lines",
        line={"color": GREY, "width": 1.5},
        hovertemplate="joined at a mean overlap of %{customdata:.3f}<extra></extra>",
    )
    rows = [len(names) - 0.5, -0.5]
    hidden = {"visible": False, "fixedrange": True}
    figure.update_layout(
        height=70 + height(len(names)),
        xaxis={
            "type": "category",
            "domain": [0, 0.8],
            "showticklabels": False,
            "ticks": "",
            "fixedrange": True,
        },
        yaxis=_names(names) | {"range": rows},
        xaxis2=hidden | {"domain": [0.81, 1], "anchor": "y2"},
        yaxis2=hidden | {"range": rows, "anchor": "x2"},
    )
    return _bare(figure, top=5, bottom=50)


def active(found: ExpertMasks, compared: Comparison) -> str:
    """Return the heat map of how much each domain uses each expert, as an HTML fragment."""
    names = compared.names
    gap = np.full((len(names), 1), np.nan)  # keeps the levels apart
    cells, texts, middles = [], [], []
    for number, level in enumerate(found.use(), 1):
        shares, count = level[compared.rows], level.shape[1]
        middles.append(sum(part.shape[1] for part in cells) + (count - 1) / 2)
        cells += [shares, gap]
        texts.append([_said(number, row) for row in shares])
    figure = go.Figure()
    figure.add_heatmap(
        y=names,
        z=np.hstack(cells[:-1]).astype("float32"),
        text=np.hstack(texts)[:, :-1],
        zmin=0,
        zmax=1,
        colorscale=[[0, PALE], [1e-6, LIGHT], [1, DARK]],
        showscale=False,
        xgap=1,
        ygap=1 if len(names) <= NAMED else 0,
        hoverongaps=False,
        hovertemplate="%{y}, %{text}<extra></extra>",
    )
    levels = [f"level {number}" for number in range(1, len(middles) + 1)]
    figure.update_layout(
        height=40 + height(len(names)),
        xaxis={"tickvals": middles, "ticktext": levels, "ticks": "", "side": "top", "fixedrange": True},
        yaxis=_names(names) | {"autorange": "reversed"},
    )
    return _bare(figure, top=30, bottom=10)


def _said(level: int, shares: np.ndarray) -> list[str]:
    """Return what a domain's cells of one level say on hover, and the gap after them."""
    used = f"{(shares > 0).sum()} of {len(shares)} experts active"
    cells = [
        f"level {level}: expert {n}, {share:.0%} of its edges; {used}" for n, share in enumerate(shares, 1)
    ]
    return [*cells, ""]


def numbers(found: ExpertMasks, compared: Comparison) -> list[dict[str, Any]]:
    """Return for each domain its name, the density of its mask and the active experts of each level."""
    counts = np.stack([(level > 0).sum(axis=1) for level in found.use()], axis=1)
    density = found.masks.mean(axis=1)
    return [
        {"name": name, "density": float(density[row]), "active": counts[row].tolist()}
        for name, row in zip(compared.names, compared.rows, strict=True)
    ]


def sparsity(found: ExpertMasks) -> str:
    """Return the plot of every domain's share of edges in use after each search, as an HTML fragment."""
    steps = [search["step"] for search in found.searches]
    names = list(dict.fromkeys(name for search in found.searches for name in search["domains"]))
    density = [
        [search["domains"].get(name, {}).get("density") for search in found.searches] for name in names
    ]
    table = np.array(density, float)  # nan where a search left a domain out
    figure = go.Figure()
    figure.add_scatter(
        x=np.tile([*steps, np.nan], len(names)),
        y=np.pad(table, ((0, 0), (0, 1)), constant_values=np.nan).ravel(),
        text=np.repeat(names, len(steps) + 1),
        mode="lines+markers",
        name="each domain",
        line={"color": GREY, "width": 1},
        marker={"size": 3},
        opacity=0.5,
        hovertemplate="%{text}: %{y:.3f} at step %{x:,}<extra></extra>",
    )
    figure.add_scatter(
        x=steps,
        y=np.nanmedian(table, axis=0),
        mode="lines+markers",
        name="median",
        line={"color": BLUE, "width": 4},
        hovertemplate="median: %{y:.3f} at step %{x:,}<extra></extra>",
    )
    if found.exported:
        figure.add_scatter(
            x=[steps[found.exported - 1]] * 2,
            y=[0, 1],
            mode="lines",
            name="exported",
            line={"color": ORANGE, "width": 1.5},
            hoverinfo="skip",
        )
    figure.update_layout(
        height=320,
        xaxis={"title": "step", "fixedrange": True},
        yaxis={"title": "share of edges in use", "range": [0, 1.02], "fixedrange": True},
    )
    return html(figure)


def losses(judged: dict[str, dict[str, Any]]) -> str:
    """Return the plot of how much worse than the chosen candidate the others were, as an HTML fragment.

    Args:
        judged: by domain, the note of a search in which a candidate was chosen.
    """
    above = {name: above_chosen(note) or (np.nan,) * 3 for name, note in judged.items()}
    names = sorted(above, key=lambda name: np.nan_to_num(above[name][1]))
    low, middle, high = np.array([above[name] for name in names]).T
    few = len(names) <= NAMED
    figure = go.Figure()
    figure.add_scatter(
        x=np.stack([low, high, np.full(len(names), np.nan)], axis=1).ravel(),
        y=np.repeat(names, 3),
        mode="lines+markers",
        name="others, best to worst",
        line={"color": GREY, "width": 3 if few else 1.5},
        marker={"size": 3 if few else 1.5},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=middle,
        y=names,
        mode="markers",
        name="their median",
        marker={"color": ORANGE, "size": 9 if few else 4},
        customdata=np.stack([low, high], axis=1),
        hovertemplate="%{y}: others above the chosen by %{customdata[0]:.4f} to %{customdata[1]:.4f}, "
        "median %{x:.4f}<extra></extra>",
    )
    figure.add_scatter(
        x=np.zeros(len(names)),
        y=names,
        mode="markers",
        name="chosen",
        marker={"color": BLUE, "symbol": "line-ns-open", "size": 10 if few else 4},
        customdata=[judged[name]["chosen"] for name in names],
        hovertemplate="%{y}: chosen with a log loss of %{customdata:.4f}<extra></extra>",
    )
    figure.update_layout(
        height=110 + height(len(names)),
        xaxis={"title": "log loss above the chosen", "fixedrange": True},
        yaxis=_names(names) | {"range": [-0.7, len(names) - 0.3]},
    )
    return html(figure)


def _names(names: list[str]) -> dict[str, Any]:
    """Return the axis of the domains: one in a row, cut to what a narrow screen has room for."""
    short = [name if len(name) <= LONG else name[: LONG - 1] + "…" for name in names]
    labels = {"tickvals": names, "ticktext": short, "showticklabels": len(names) <= NAMED}
    return labels | {"type": "category", "ticks": "", "fixedrange": True}


def _bare(figure: go.Figure, **margin: int) -> str:
    """Return a heat map, which needs neither lines around it nor a legend, as an HTML fragment."""
    figure.update_xaxes(showline=False)
    figure.update_yaxes(showline=False)
    figure.update_traces(showlegend=False, selector={"type": "scatter"})
    return html(figure, **margin)
