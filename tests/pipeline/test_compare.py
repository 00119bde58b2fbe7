"""Runs beside each other: paired where the test rows are the same, apart where they are not."""

import numpy as np
import pytest
from report_results import metrics_of, replicates_of
from rich.console import Console
from typer.testing import CliRunner

from components.domain_evaluator.settings import EvaluationSettings
from pipeline.cli import app
from pipeline.compare import between, compare, print_comparison
from pipeline.report.comparison import write_comparison
from pipeline.report.domains import UP, arrow

SETTINGS = EvaluationSettings()


def compared(paired=True):
    """The baseline of some rows as the first run, their candidate, or one of other rows, as the other."""
    rows, metrics = replicates_of(), metrics_of()
    before = {**metrics["baseline"], "changes": None}
    if paired:
        return between(("old", "new"), (before, metrics), [rows["baseline"], rows["candidate"]], SETTINGS)
    others, figures = replicates_of(seed=1), metrics_of(seed=1)
    return between(("old", "new"), (before, figures), [rows["baseline"], others["candidate"]], SETTINGS)


def shown(comparison) -> str:
    console = Console(width=110, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_comparison(comparison, console)
    return console.export_text()


def test_on_the_same_rows_the_differences_are_paired():
    found, metrics = compared(), metrics_of()
    assert found.paired and list(found.domains) == ["a", "b", "c"] and found.missing == []
    assert found.domains["a"]["auc"] == metrics["changes"]["domains"]["a"]["auc"]
    assert arrow(found.domains["a"]["auc"]) == UP and found.domains["b"]["auc"]["value"] == 0
    text = shown(found)
    assert "from old to new" in text and "▲" in text and "too few" in text and "differ" not in text


def test_on_other_rows_intervals_are_those_of_independent_figures():
    found = compared(paired=False)
    assert not found.paired
    ends = [one["overall"]["intervals"]["auc"] for one in found.figures]
    reach = np.hypot(*((high - low) / 2 for low, high in ends))
    change = found.overall["auc"]
    assert change["value"] == pytest.approx(
        found.figures[1]["overall"]["auc"] - found.figures[0]["overall"]["auc"]
    )
    assert (change["low"], change["high"]) == pytest.approx(
        (change["value"] - reach, change["value"] + reach)
    )
    assert found.domains["c"]["auc"] == {"value": None, "low": None, "high": None}
    assert "the test rows differ" in shown(found)


def test_domains_of_one_run_only_are_named():
    rows, metrics = replicates_of(), metrics_of()
    fewer = {name: one for name, one in rows["baseline"].items() if name != (("domain", "b"),)}
    before = {
        **metrics["baseline"],
        "domains": {k: v for k, v in metrics["baseline"]["domains"].items() if k != "b"},
    }
    found = between(("old", "new"), (before, metrics), [fewer, rows["candidate"]], SETTINGS)
    assert found.missing == ["b"] and list(found.domains) == ["a", "c"] and not found.paired
    assert "in one run only: b" in shown(found)


def test_names_that_look_like_markup_are_shown_as_they_are():
    names = {"a": "[promo]", "b": "[/sale]", "c": "[/once]"}
    rows, metrics = replicates_of(), metrics_of()
    for by_slice in rows.values():
        for name, new in names.items():
            by_slice[(("domain", new),)] = by_slice.pop((("domain", name),))
    figures = [
        {**one, "domains": {names[name]: of for name, of in one["domains"].items()}}
        for one in (metrics["baseline"], metrics)
    ]
    del figures[0]["domains"]["[/once]"]
    text = shown(between(("[/x]", "new"), figures, [rows["baseline"], rows["candidate"]], SETTINGS))
    assert "from [/x] to new" in text and "[promo]" in text and "[/sale]" in text
    assert "in one run only: [/once]" in text


def test_the_page_draws_without_console_errors(browser, tmp_path):
    write_comparison([compared(), compared(paired=False)], tmp_path / "compare.html")
    dom, console = browser(tmp_path / "compare.html", 400)
    assert console == [] and dom.count('class="main-svg"') >= 2
    assert "surely better" in dom and "The test rows differ" in dom


def test_a_finished_run_compared_with_itself_has_not_changed(pipeline_run, tmp_path):
    found = compare(pipeline_run.folder, pipeline_run.folder)
    assert found.paired and {one["auc"]["value"] for one in found.domains.values()} <= {0.0, None}
    out = tmp_path / "page.html"
    folder = str(pipeline_run.folder)
    assert CliRunner().invoke(app, ["compare", folder, folder, "--out", str(out)]).exit_code == 0
    assert out.is_file()
    alone = CliRunner().invoke(app, ["compare", folder])
    assert "two runs or more" in str(alone.exception)
