"""The page of a run: one file, no network."""

from pathlib import Path

import yaml
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from pipeline.pages import environment
from pipeline.report import balance, classifier, data, domains, features, masks, plots
from pipeline.results import Results
from schema.atomic import write_whole


def write_page(results: Results, path: Path) -> None:
    """Write the report of a run as one self-contained HTML file.

    Args:
        results: the figures of the run.
        path: the file to write.
    """
    filters = {
        "figure": lambda value, digits=4: "–" if value is None else f"{value:.{digits}f}",
        "count": lambda value: "–" if value is None else f"{int(value):,}",
    }
    augmentation = results.augmentation or {"rows": 0}
    template = environment("pipeline.report", filters).get_template("report.html.j2")
    page = template.render(
        results=results,
        figures=results.figures(),
        plotly=Markup(get_plotlyjs()),
        lines=domains.lines(results.metrics),
        words=domains.WORDS,
        crossings=domains.crossings(results.metrics),
        data=data.section(results),
        calibration=Markup(plots.calibration(results.metrics)),
        config=yaml.safe_dump(results.config.model_dump(mode="json"), sort_keys=False),
        domain_auc=Markup(plots.domain_auc(results.metrics)),
        augmented_rows=Markup(plots.augmented_rows(augmentation)) if augmentation["rows"] else "",
        classifier=classifier.section(results.classifier),
        training=Markup(plots.training(results.history)) if results.history else "",
        experts=masks.section(results.history),
        features=features.section(results.history, results.metrics),
        balance=balance.section(results.history),
    )
    write_whole(path, page)
