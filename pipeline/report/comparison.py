"""The page that puts runs beside each other: one file, no network."""

from pathlib import Path

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from pipeline.compare import Comparison
from pipeline.pages import environment
from pipeline.report.domains import DOWN, SAME, UP, WORDS, arrow
from pipeline.report.plots import BLUE, GREY, ORANGE, html
from schema.atomic import write_whole

COLOURS = {UP: BLUE, DOWN: ORANGE, SAME: GREY}


def write_comparison(comparisons: list[Comparison], path: Path) -> None:
    """Write the comparison of runs with the first of them as one self-contained HTML file.

    Args:
        comparisons: of the first run with each other one. path: the file to write.
    """
    filters = {"arrow": arrow, "changes": lambda compared: Markup(changes(compared))}
    page = environment("pipeline.report", filters).get_template("comparison.html.j2")
    write_whole(path, page.render(comparisons=comparisons, plotly=Markup(get_plotlyjs()), words=WORDS))


def changes(compared: Comparison) -> str:
    """Return the plot of each domain's change of AUC with its interval, as an HTML fragment."""
    known = {name: one["auc"] for name, one in compared.domains.items() if one["auc"]["low"] is not None}
    names = list(known)[::-1]  # the largest on top
    figure = go.Figure()
    for sign, colour in COLOURS.items():
        own = [name for name in names if arrow(known[name]) == sign]
        if own:
            figure.add_scatter(
                x=[known[name]["value"] for name in own],
                y=own,
                mode="markers",
                name=WORDS[sign],
                marker={"color": colour, "size": 8},
                error_x={
                    "type": "data",
                    "array": [known[name]["high"] - known[name]["value"] for name in own],
                    "color": colour,
                    "thickness": 1,
                },
            )
    figure.add_vline(x=0, line_width=1, line_color=GREY)
    figure.update_layout(height=130 + 22 * max(len(names), 3), xaxis_title="change of AUC")
    figure.update_yaxes(categoryorder="array", categoryarray=names, type="category")
    return html(figure)
