"""The page in a real browser, and the odd cases it must say in words."""

from dataclasses import replace

import pytest
from report_results import results_of

from pipeline.report import plots
from pipeline.report.page import write_page
from pipeline.report.terminal import verdict_lines
from pipeline.results import load_results
from pipeline.run_folder import RunFolder


@pytest.mark.parametrize("width", [400, 1200], ids=["phone", "desk"])
def test_the_page_draws_its_plots_without_console_errors(pipeline_run, browser, width):
    assert pipeline_run.resumed.returncode == 0
    dom, console = browser(pipeline_run.folder / "report.html", width)
    assert console == []
    assert dom.count('class="main-svg"') >= 3
    assert "channel_01" in dom and "Augmented rows" in dom


@pytest.fixture
def results(pipeline_run):
    # The record of the last run in the folder may be one whose gate failed: its figures are the same.
    return load_results(RunFolder(pipeline_run.folder))


def rejected(results):
    rule = {**results.verdict["rules"][0], "verdict": "fail", "text": "domain <b>x</b>: AUC too low: fail."}
    return replace(results, verdict={"blessed": False, "baseline_note": "it is gone.", "rules": [rule]})


def test_a_rejected_model_is_said_first_and_names_are_escaped(results, tmp_path):
    write_page(rejected(results), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "No go." in page
    assert "&lt;b&gt;x&lt;/b&gt;: AUC too low" in page
    assert "<b>x</b>" not in page
    assert "it is gone." in page
    lines = "\n".join(verdict_lines(rejected(results)))
    assert "AUC too low" in lines
    assert "not blessed: 1 of 1 rules failed" in lines


def test_a_pass_without_a_comparison_is_not_printed_as_a_plain_pass():
    results, note = results_of([]), "The model that serves was left out: tags[text]."
    assert not any(line.startswith("[yellow]") for line in verdict_lines(results))
    *_, passed, said = verdict_lines(replace(results, verdict={**results.verdict, "baseline_note": note}))
    assert "blessed" in passed and said == r"[yellow]! The model that serves was left out: tags\[text].[/]"


def test_a_refused_push_is_said_with_its_reason(tmp_path):
    results = results_of([])
    pushed = results.record["components"]["ModelPusher"]["outputs"]["pushed_model"]["properties"]
    pushed |= {"pushed": 0, "refused": "version 3 <b> was rolled back."}
    write_page(results, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Not pushed: version 3 &lt;b&gt; was rolled back." in page and "Pushed to" not in page
    assert "not pushed: version 3 <b> was rolled back." in "\n".join(verdict_lines(results))
    figures = results.figures()
    assert (figures["blessed"], figures["pushed_to"]) == (True, None)
    assert figures["refused"] == "version 3 <b> was rolled back."


def test_a_domain_without_a_test_row_is_named(tmp_path):
    results = results_of([])
    assert results.unjudged == [] and "without a test row" not in "\n".join(verdict_lines(results))
    known = {"a": 900, "<b>": 90, "c": 10}
    data = {"domains": known, "before": None, "drift": None}
    few = replace(
        results,
        record={**results.record, "data": data},
        metrics={**results.metrics, "domains": {"a": results.metrics["overall"]}},
    )
    assert few.figures()["unjudged"] == ["<b>", "c"]
    assert "trained on, but without a test row: <b>, c" in "\n".join(verdict_lines(few))
    write_page(few, tmp_path / "report.html")
    assert "&lt;b&gt;, c: trained on, not judged" in (tmp_path / "report.html").read_text()


def test_augmented_rows_are_drawn_only_where_there_are_any(results, tmp_path):
    assert results.augmentation["rows"]
    none = {**results.augmentation, "rows": 0, "moves": [], "reason": "no item is unpopular (p(i) < 0.05)"}
    for name, augmentation in (("off", None), ("none", none)):
        write_page(replace(results, augmentation=augmentation), tmp_path / f"{name}.html")
    assert "Augmented rows" not in (tmp_path / "off.html").read_text()
    page = (tmp_path / "none.html").read_text()
    assert "<strong>None:</strong> no item is unpopular (p(i) &lt; 0.05)." in page
    html = plots.augmented_rows(results.augmentation)
    assert all(domain["domain"] in html for domain in results.augmentation["domains"])


def test_the_page_says_of_how_many_rows_the_augmented_ones_are_copies(tmp_path):
    domains = [
        {"domain": name, "rows": rows, "share": rows / 100, "minor": rows < 2, "gave": gave, "got": got}
        for name, rows, gave, got in (("home", 99, 80_000, 0), ("a", 1, 0, 80_000))
    ]
    moves = [{"source": "home", "target": "a", "rows": 80_000, "originals": 12}]
    made = {"rows": 80_000, "originals": 12, "target": 80_100.0, "reason": ""}
    results = replace(results_of([]), augmentation={**made, "moves": moves, "domains": domains})
    write_page(results, tmp_path / "report.html")
    assert "80,000 copies of 12 rows" in " ".join((tmp_path / "report.html").read_text().split())


def test_undefined_figures_are_drawn_as_nothing():
    none = {"auc": None, "logloss": None, "calibration": None, "rows": 3, "positives": 0, "status": "too few"}
    html = plots.domain_auc({"overall": none, "domains": {"tiny": none}, "baseline": None})
    assert "tiny" not in html


def test_a_folder_without_a_run_says_how_to_start_one(tmp_path):
    with pytest.raises(ValueError, match="holds no finished run; start one with mdr run"):
        load_results(RunFolder(tmp_path))
