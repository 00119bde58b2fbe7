"""The results of a run that never was, for tests of the page's sections."""

import json

import numpy as np

from components.domain_evaluator.figures import figures
from components.domain_evaluator.measures import curves, measures
from components.domain_evaluator.replicates import as_columns
from components.domain_evaluator.settings import EvaluationSettings
from components.domain_evaluator.sketch import sketch_slices
from pipeline.config import Config
from pipeline.results import Results

CONFIG = {
    "data": {"path": "logs"},
    "log": {"domain": "channel", "label": {"column": "click"}, "features": {"user_id": None}},
    "split": {"by": "random"},
}

# Chromium's window is never narrower than 500 pixels: a frame is as narrow as a phone.
_FRAME = """<body><iframe src="report.html" width="400" height="3000"></iframe>
<script>onmessage = said => { document.body.append(said.data) }</script></body>"""
_TELL = """<script>addEventListener("load", () => setTimeout(() => {
  const page = document.documentElement, plots = document.querySelectorAll(".js-plotly-plot").length
  parent.postMessage(`${plots} plots, ${page.scrollWidth - page.clientWidth} pixels too wide`, "*")
}, 500))</script></body>"""


def drawn(plot):
    """The traces that a plot's HTML draws, and its layout."""
    decoder, start = json.JSONDecoder(), plot.index("[", plot.index("Plotly.newPlot("))
    traces, end = decoder.raw_decode(plot, start)
    return traces, decoder.raw_decode(plot, plot.index("{", end))[0]


def on_a_phone(page, folder, browser):
    """Open a page at a phone's width; return what it says of its plots and its width, and the console."""
    (folder / "report.html").write_text(page.replace("</body>", _TELL))
    (folder / "frame.html").write_text(_FRAME)
    return browser(folder / "frame.html", 500)


def metrics_of(rows=3000, baseline=True, crossing=None, seed=0):
    """The evaluator's figures of random rows in the domains a, b and c, the last with one class only."""
    measured = replicates_of(rows, crossing, seed)
    if not baseline:
        del measured["baseline"]
    return {**figures(measured, EvaluationSettings()), "baseline_note": None}


def replicates_of(rows=3000, crossing=None, seed=0):
    """By model and slice what the evaluator keeps of such rows; the baseline is worse in a, the same in b."""
    random = np.random.default_rng(seed)
    domain = random.choice(3, rows, p=[0.6, 0.35, 0.05])
    odds = random.normal(-1, 1, rows)
    label = (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int8) * (domain < 2)
    wrong = np.stack([random.normal(0, 0.5, rows), random.normal(0, 1.5, rows)])
    wrong[1, domain == 1] = wrong[0, domain == 1]  # in b nothing changes
    user = random.integers(0, 2**63, 300, dtype=np.uint64)[random.integers(0, 300, rows)]
    day = random.integers(0, 2, rows)
    masks = {(): np.full(rows, True)}
    for d, name in enumerate("abc"):
        masks[(("domain", name),)] = domain == d
        for v in range(2) if crossing else ():
            masks[("domain", name), (crossing, f"{crossing} {v}")] = (domain == d) & (day == v)
    measured = {"candidate": {}, "baseline": {}}
    for key, kept in masks.items():
        p = 1 / (1 + np.exp(-(odds + wrong)[:, kept]))
        [(_, sketch)] = sketch_slices(np.zeros(kept.sum(), int), label[kept], p, user[kept])
        for name, *of_model in zip(measured, measures(sketch), curves(sketch), strict=True):
            measured[name][key] = as_columns(sketch.counts, *of_model)
    return measured


def results_of(history, metrics=None):
    ingest = {"rows": 9, "rows_train": 6, "rows_validation": 1, "rows_test": 2, "bad_rows": 0}
    component = {"state": "ran", "seconds": 1.0, "rows": 9, "outputs": {"examples": {"properties": ingest}}}
    record = {
        "started": "today",
        "code": "c",
        "data": None,
        "launch": {"fingerprint": "f", "config_key": "k", "baseline": None},
        "components": {
            "LogExampleGen": component,
            "ModelPusher": {**component, "outputs": {"pushed_model": {"properties": {}}}},
        },
    }
    return Results(
        config=Config.model_validate(CONFIG),
        record=record,
        metrics=metrics or metrics_of(200, baseline=False),
        verdict={"blessed": True, "rules": [], "baseline_note": None},
        history=history,
        data_gate=[],
    )
