"""The report's figures by domain: intervals, arrows, crossings, a table that can be sorted."""

import re

from report_results import metrics_of, results_of
from rich.console import Console

from pipeline.report.domains import DOWN, SAME, UP, crossings, lines
from pipeline.report.page import write_page
from pipeline.report.terminal import domain_table


def test_lines_are_sorted_by_rows_and_say_what_is_sure():
    found = lines(metrics_of())
    assert [line.name for line in found] == ["all rows", "a", "b", "c"]
    overall, a, b, c = found
    assert a.arrow == UP and a.change["low"] > 0 and b.arrow == SAME and b.change["value"] == 0
    assert a.interval[0] < a.figures["auc"] < a.interval[1]
    assert c.arrow == "" and c.change is None and c.figures["status"] == "too few"
    metrics = metrics_of()
    metrics["changes"]["domains"]["a"]["auc"] |= {"low": -0.03, "high": -0.01}
    assert lines(metrics)[1].arrow == DOWN
    assert overall.figures["rows"] == 3000


def test_without_a_baseline_there_is_no_change():
    assert {line.arrow for line in lines(metrics_of(baseline=False))} == {""}


def test_crossings_are_tables_by_domain_and_value():
    [table] = crossings(metrics_of(crossing="day"))
    assert table["name"] == "day" and table["values"] == ["day 0", "day 1"]
    assert list(table["rows"]) == ["a", "b", "c"]
    assert 0.5 < table["rows"]["a"][0]["auc"] < 1 and table["rows"]["c"][0]["auc"] is None


def test_the_page_and_the_terminal_show_them(tmp_path):
    results = results_of([], metrics_of(crossing="day"))
    write_page(results, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    a = results.metrics["domains"]["a"]
    shown = f"({a['intervals']['auc'][0]:.4f}–{a['intervals']['auc'][1]:.4f})"
    assert shown in page and "surely better" in page and "AUC by domain and day" in page
    assert re.search(r"<td>a</td>.*?▲", page, re.DOTALL)
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(domain_table(results))
    text = console.export_text()
    assert (
        f"▲ {results.metrics['changes']['domains']['a']['auc']['value']:+.4f}" in text and "too few" in text
    )


def test_the_terminal_shows_names_that_look_like_markup_as_they_are():
    metrics, names = metrics_of(), {"a": "[promo]", "b": "[/sale]", "c": "[red]c"}
    for part in (metrics, metrics["changes"]):
        part["domains"] = {names[name]: one for name, one in part["domains"].items()}
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(domain_table(results_of([], metrics)))
    text = console.export_text()
    assert all(name in text for name in names.values())


def test_a_metric_that_is_not_defined_anywhere_is_a_dash(tmp_path):
    metrics = metrics_of(rows=60, baseline=False)
    for one in (metrics["overall"], *metrics["domains"].values()):
        one |= {"auc": None, "gauc": None, "pr_auc": None, "calibration": None, "intervals": {}}
    metrics["overall"] |= {"mean_domain_auc": None, "worst_domain": None}
    write_page(results_of([], metrics), tmp_path / "report.html")
    assert "too few" in (tmp_path / "report.html").read_text()
