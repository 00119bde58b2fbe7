"""The report's section on pseudo-domains: its figures, and the odd cases that it must say in words."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_results import results_of

from components.domain_classifier.quality import measure
from components.pseudo_labeler.settings import CONFIDENCE_BINS
from pipeline.report.page import write_page
from pipeline.results import _classifier

TRAINED = [{"pseudo_rows": 40}]


def outputs(folder, p, labels, classes, warning=""):
    """Write what the two components leave; return their part of a run's record."""
    model, made = folder / "model" / "Format-Serving", folder / "labels"
    model.mkdir(parents=True)
    made.mkdir()
    names = ["home", *classes]
    quality = {
        "dominant": names[:1],
        "classes": classes,
        **measure(p, labels, np.bincount(labels) * 9, np.ones(len(classes))),
    }
    description = {"classes": list(range(1, len(names))), "spec": {"domains": names}}
    (model / "quality.json").write_text(json.dumps(quality))
    (model / "classifier.json").write_text(json.dumps(description))
    went = {"source": [0, 0], "target": [1, 1], "bin": [7, 19], "rows": [30, 10], "confidence": [11.4, 9.8]}
    pq.write_table(pa.table(went), made / "labels.parquet")

    def component(output, place, **properties):
        return {"outputs": {output: {"uri": str(place), "properties": properties}}}

    return {
        "components": {
            "DomainClassifier": component("model", folder / "model", warning=warning),
            "PseudoLabeler": component("labels", made, rows=40),
        }
    }


def page_of(classifier, folder):
    write_page(replace(results_of([]), classifier=classifier), folder / "report.html")
    return " ".join((folder / "report.html").read_text().split())


@pytest.fixture
def judged():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    return random.dirichlet([1, 1, 1], 100) * 0.3 + 0.7 * np.eye(3)[labels], labels


def test_the_figures_are_those_of_the_components(tmp_path, judged):
    read = _classifier(outputs(tmp_path, *judged, ["<b>x", "mail", "shop"]), TRAINED)
    assert read["rows"] == 40 and read["quality"]["accuracy"] > 0.9
    first, second, _ = read["targets"]
    assert (first["domain"], first["rows"], first["confidence"]) == ("<b>x", 40, pytest.approx(0.53))
    assert len(first["bins"]) == CONFIDENCE_BINS and (first["bins"][7], first["bins"][19]) == (30, 10)
    assert (second["rows"], second["confidence"]) == (0, None)
    page = page_of(read, tmp_path)
    assert (
        "None went to mail, shop." in page
        and "40 training rows of home also stand as rows of the domain" in page
    )
    assert "&lt;b&gt;x" in page and "<b>x</" not in page and "Careful" not in page
    assert "0.530" in page
    assert page.count('class="plotly-graph-div"') == 5  # with the AUC by domain and the calibration


def test_a_classifier_no_better_than_chance_is_said_to_be_so(tmp_path, judged):
    page = page_of(_classifier(outputs(tmp_path, *judged, ["a", "b", "c"], "it guesses."), []), tmp_path)
    assert "<strong>Careful:</strong> it guesses." in page


def test_of_two_domains_there_is_nothing_to_draw(tmp_path):
    record = outputs(tmp_path, np.ones((4, 1)), np.zeros(4, int), ["rest"])
    page = page_of(_classifier(record, TRAINED), tmp_path)
    assert "also stand as rows of the domain that a classifier finds each most like: rest." in page
    assert page.count('class="plotly-graph-div"') == 2


@pytest.mark.parametrize("history", [[], [{"pseudo_rows": 0}]])
def test_rows_that_the_training_did_not_use_are_not_said_to_count(tmp_path, judged, history):
    page = page_of(_classifier(outputs(tmp_path, *judged, ["a", "b", "c"]), history), tmp_path)
    assert "40 training rows of home could also stand as rows" in page
    assert "The training did not use them" in page and "also stand as rows of the domain that a" in page


def test_without_a_classifier_there_is_no_section(tmp_path):
    assert _classifier({"components": {}}, []) is None
    assert "Pseudo-domains" not in page_of(None, tmp_path)
