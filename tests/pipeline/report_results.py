"""The results of a run that never was, for tests of the page's sections."""

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


def on_a_phone(page, folder, browser):
    """Open a page at a phone's width; return what it says of its plots and its width, and the console."""
    (folder / "report.html").write_text(page.replace("</body>", _TELL))
    (folder / "frame.html").write_text(_FRAME)
    return browser(folder / "frame.html", 500)


def results_of(history):
    none = {"auc": 0.6, "logloss": 0.5, "calibration": 1.0, "rows": 3, "positives": 1, "status": "judged"}
    ingest = {"rows": 9, "rows_train": 6, "rows_validation": 1, "rows_test": 2, "bad_rows": 0}
    component = {"state": "ran", "seconds": 1.0, "rows": 9, "outputs": {"examples": {"properties": ingest}}}
    record = {
        "started": "today",
        "launch": {"fingerprint": "f", "config_key": "k", "baseline": None},
        "components": {
            "LogExampleGen": component,
            "ModelPusher": {**component, "outputs": {"pushed_model": {"properties": {}}}},
        },
    }
    return Results(
        config=Config.model_validate(CONFIG),
        record=record,
        metrics={"overall": none, "domains": {"a": none}, "baseline": None},
        verdict={"blessed": True, "rules": [], "baseline_note": None},
        history=history,
        data_gate=[],
    )
