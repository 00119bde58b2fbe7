"""The plot of the domains' features in two dimensions, by click rate (DFEI, section 4.8, Figure 4)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from pipeline.history import exported_epoch
from pipeline.report.plots import GREY, MAX_LABELLED, html

FEW = 3  # with fewer domains, two dimensions show nothing
MANY = 30  # from here on t-SNE has neighbours enough to go by
PERPLEXITY = 30  # of t-SNE, scikit-learn's default: about how many neighbours count


@dataclass(frozen=True)
class Flat:
    """Features in two dimensions.

    Attributes:
        method: `PCA` or `t-SNE`. points: `(domains, 2)`. axes: what the two dimensions are.
    """

    method: str
    points: np.ndarray
    axes: tuple[str, str]


def section(history: list[dict[str, Any]], metrics: dict[str, Any]) -> dict[str, Any] | None:
    """Return what `features.html.j2` shows: counts and a plot; None for a model without such features.

    Args:
        history: what was measured in each epoch (see `models.plugins.dfei.DFEI.figures`).
        metrics: of the domains on the test split, whose click rates these are.
    """
    noted = {row["epoch"]: row["dfei"]["domains"] for row in history if "dfei" in row}
    if not noted:
        return None
    epoch = exported_epoch(history)
    features = noted[epoch]
    flat = flattened(np.array(list(features.values()))) if len(features) >= FEW else None
    return {
        "epoch": epoch,
        "count": len(features),
        "method": flat and flat.method,
        "plot": Markup(plot(list(features), flat, metrics["domains"])) if flat else "",
    }


def flattened(features: np.ndarray) -> Flat:
    """Return features `(domains, width)` in two dimensions: by PCA for few domains, by t-SNE for many.

    Features that are all the same are shown by PCA, too.
    """
    features = np.pad(features, ((0, 0), (0, max(0, 2 - features.shape[1]))))  # of width 1
    if len(features) < MANY or not np.ptp(features, axis=0).any():
        pca = PCA(2)
        with np.errstate(invalid="ignore"):  # where there is no variance to share
            points = pca.fit_transform(features)
        shares = np.nan_to_num(pca.explained_variance_ratio_)
        axes = [f"component {number}, {share:.0%} of the variance" for number, share in enumerate(shares, 1)]
        return Flat("PCA", points, tuple(axes))
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    points = TSNE(2, perplexity=perplexity, random_state=0).fit_transform(features)
    return Flat("t-SNE", points, ("t-SNE 1", "t-SNE 2"))


def plot(names: list[str], flat: Flat, metrics: dict[str, dict[str, Any]]) -> str:
    """Return the plot of the domains, coloured by click rate, as an HTML fragment.

    Args:
        names: of the domains. flat: their features.
        metrics: `rows` and `positives` by domain; a domain without rows is grey.
    """
    rows, clicks = (
        np.array([metrics.get(name, {}).get(key, 0) for name in names]) for key in ("rows", "positives")
    )
    judged = rows > 0
    rates = clicks / np.maximum(rows, 1)
    figure = go.Figure()
    shades = {"colorscale": "Cividis", "colorbar": {"title": "click rate", "tickformat": ".1~%"}}
    for there, label, colour in (
        (judged, "by click rate", {"color": rates[judged], **shades}),
        (~judged, "no test rows", {"color": GREY, "symbol": "circle-open"}),
    ):
        if not there.any():
            continue
        own = [name for name, here in zip(names, there, strict=True) if here]
        figure.add_scatter(
            x=flat.points[there, 0],
            y=flat.points[there, 1],
            mode="markers+text" if len(names) <= MAX_LABELLED else "markers",
            name=label,
            text=own,
            textposition="top center",
            marker={"size": 10, "line": {"color": GREY, "width": 1}, **colour},
            customdata=np.stack([rates[there], rows[there]], axis=1),
            hovertemplate="%{text}: %{customdata[0]:.2%} of %{customdata[1]:,} rows clicked<extra></extra>",
        )
    figure.update_layout(height=460)
    figure.update_xaxes(title=flat.axes[0], fixedrange=True)
    figure.update_yaxes(title=flat.axes[1], fixedrange=True)
    return html(figure)
