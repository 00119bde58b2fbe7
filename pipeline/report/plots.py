"""The report's plots, made by plotly; colours that colour-blind readers can tell apart."""

import plotly.graph_objects as go

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#888888"  # of Okabe and Ito's palette
SHADES = [[0, "#ffffff"], [1, BLUE]]  # of a share or a count
NAMED = 60  # with more rows, names would overlap: they are shown on hover
ROW, TALL = 22, 900  # pixels of one row, and of all rows at most
CURVES = 12  # calibration curves of domains
MAX_LABELLED = 15  # columns of a heat map whose cells have room for their numbers
CONFIG = {"displayModeBar": False, "responsive": True}


def domain_auc(metrics: dict) -> str:
    """Return the plot of each domain's AUC, the baseline's beside it, as an HTML fragment."""
    domains = {name: f for name, f in metrics["domains"].items() if f["auc"] is not None}
    names = sorted(domains, key=lambda name: domains[name]["rows"])
    figure = go.Figure()
    if metrics.get("baseline"):
        before = metrics["baseline"]["domains"]
        kept = [name for name in names if before.get(name, {}).get("auc") is not None]
        figure.add_scatter(
            x=[before[name]["auc"] for name in kept],
            y=kept,
            mode="markers",
            name="last pushed",
            marker={"color": ORANGE, "symbol": "line-ns-open", "size": 12},
        )
    figure.add_scatter(
        x=[domains[name]["auc"] for name in names],
        y=names,
        mode="markers",
        name="this model",
        marker={"color": BLUE, "size": 9},
        error_x=_reach([domains[name] for name in names]),
        customdata=[domains[name]["rows"] for name in names],
        hovertemplate="%{y}: %{x:.4f} over %{customdata:,} rows<extra></extra>",
    )
    overall = metrics["overall"]["auc"]
    if overall is not None:
        figure.add_vline(x=overall, line_width=1.5, line_color=GREY, annotation_text="all rows")
    figure.update_layout(height=110 + 22 * max(len(names), 4), xaxis_title="AUC on the test split")
    return html(figure)


def _reach(figures: list[dict]) -> dict:
    """Return the AUCs' intervals as plotly's error bars; none where one is not known."""
    ends = [one["intervals"].get("auc", [one["auc"]] * 2) for one in figures]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - one["auc"] for one, (_, high) in zip(figures, ends, strict=True)],
        "arrayminus": [one["auc"] - low for one, (low, _) in zip(figures, ends, strict=True)],
        "thickness": 1,
        "width": 3,
    }


def calibration(metrics: dict) -> str:
    """Return the calibration curves of all rows and of the largest domains as an HTML fragment."""
    domains = {name: one for name, one in metrics["domains"].items() if one["status"] == "ok"}
    shown = sorted(domains, key=lambda name: -domains[name]["rows"])[:CURVES]
    worst = max(domains, key=lambda name: domains[name]["ece"], default=None)
    if worst and worst not in shown:
        shown.append(worst)
    figure, end = go.Figure(), 0.0
    for name in (None, *shown):
        rows, predicted, clicked = zip(*(domains[name] if name else metrics["overall"])["curve"], strict=True)
        end = max(end, *predicted, *clicked)
        figure.add_scatter(
            x=predicted,
            y=clicked,
            customdata=rows,
            name=name or "all rows",
            mode="lines+markers",
            line={"color": ORANGE if name else BLUE} if name in (None, worst) else {},
            visible=True if name in (None, worst) else "legendonly",
            hovertemplate="%{fullData.name}: %{x:.4f} predicted, %{y:.4f} clicked, %{customdata:,} rows"
            "<extra></extra>",
        )
    figure.add_shape(type="line", x0=0, y0=0, x1=1, y1=1, line={"color": GREY, "dash": "dash", "width": 1})
    figure.update_layout(height=420, xaxis_title="mean prediction", yaxis_title="click rate")
    figure.update_xaxes(range=[0, 1.05 * end])
    figure.update_yaxes(range=[0, 1.05 * end])
    return html(figure)


def training(history: list[dict]) -> str:
    """Return the plot of loss and mean domain AUC by epoch as an HTML fragment."""
    epochs = [row["epoch"] for row in history]
    figure = go.Figure()
    figure.add_scatter(x=epochs, y=[row["loss"] for row in history], name="training loss", line_color=ORANGE)
    figure.add_scatter(
        x=epochs,
        y=[row["mean_domain_auc"] for row in history],
        name="validation mean domain AUC",
        yaxis="y2",
        line_color=BLUE,
    )
    figure.update_layout(
        height=300,
        xaxis={"title": "epoch", "dtick": 1},
        yaxis={"title": "loss"},
        yaxis2={"title": "AUC", "tickformat": ".3f", "overlaying": "y", "side": "right", "showgrid": False},
    )
    return html(figure)


def augmented_rows(augmentation: dict) -> str:
    """Return the heat map of augmented rows by source and target domain as an HTML fragment."""
    order = [domain["domain"] for domain in augmentation["domains"]]
    moved = {(move["source"], move["target"]): move["rows"] for move in augmentation["moves"]}
    ends = [{move[end] for move in augmentation["moves"]} for end in ("source", "target")]
    sources, targets = ([name for name in order if name in one] for one in ends)
    figure = go.Figure()
    figure.add_heatmap(
        x=targets,
        y=sources,
        z=[[moved.get((source, target), 0) for target in targets] for source in sources],
        colorscale=SHADES,
        zmin=0,
        zmax=max(moved.values()),
        xgap=1,
        ygap=1,
        texttemplate="%{z:,}" if len(targets) <= MAX_LABELLED else "",
        colorbar={"title": "rows"},
        hovertemplate="%{z:,} rows from %{y} to %{x}<extra></extra>",
    )
    figure.update_layout(height=160 + 26 * max(len(sources), 3))
    figure.update_xaxes(title="to", type="category")
    figure.update_yaxes(title="from", type="category", autorange="reversed")
    return html(figure)


def height(rows: int) -> int:
    """Return the pixels that so many rows of names take."""
    return min(ROW * max(rows, 3), TALL)


def html(figure: go.Figure, top: int = 40, bottom: int = 50) -> str:
    """Return a plot as an HTML fragment in the page's style; the margins are in pixels."""
    figure.update_layout(
        template="simple_white",
        margin={"l": 10, "r": 10, "t": top, "b": bottom},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        showlegend=True,
        font={"family": "system-ui, sans-serif", "size": 13},
    )
    figure.update_yaxes(automargin=True)
    return figure.to_html(full_html=False, include_plotlyjs=False, config=CONFIG)
