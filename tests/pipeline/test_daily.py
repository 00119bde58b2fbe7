"""A day's logs arrive: the window moves, training goes on from what serves, and a second run does nothing."""

import csv
import gzip
import json
import shutil

import pytest
from command import mdr

DAY = 86_400
WINDOW = 4

pytestmark = pytest.mark.exhaustive


def write_day(earlier, place, shift: int) -> None:
    """Write a day's logs anew, some seconds later, with a domain less and another one more."""
    with gzip.open(earlier, "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["channel"] != "channel_06"]
    for i, row in enumerate(rows):
        row["timestamp"] = int(row["timestamp"]) + shift
        row["channel"] = "brand_new" if i % 5 == 0 else row["channel"]
    with gzip.open(place, "wt", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def next_day(pipeline_run, tmp_path_factory):
    """The command of the day after, and its first run: on the last dates of the logs and a new one."""
    place = tmp_path_factory.mktemp("daily")
    logs = place / "logs"
    shutil.copytree(pipeline_run.config.parent / "logs", logs)
    shutil.copytree(pipeline_run.folder / "serving", place / "serving")
    days = sorted(logs.iterdir())
    write_day(days[-1], logs / "2024-01-07.csv.gz", DAY)
    for day in days[-WINDOW + 1 :]:
        write_day(day, day, 0)
    changes = [f"data.path={logs}/{{DATE}}.csv.gz", f"data.spans={WINDOW}", f"push.path={place}/serving"]
    changes += ["learning.warm_start=true", "checks.new_domain=warn", "checks.max_skew=1"]
    changes += ["gate.overall={min_auc: 0.01, calibration: null}", "gate.domain.min_auc=null"]
    changes += ["gate.change={max_auc_loss: 0.5, max_domain_auc_loss: 0.5}", "checks.max_vocabulary_jump=1"]
    changes = [f"--set={change}" for change in changes]
    command = [
        "run",
        "--config",
        pipeline_run.config,
        "--out",
        place / "run",
        *pipeline_run.settings,
        *changes,
    ]
    return place, command, mdr(*command)


def test_the_window_moves_and_the_training_begins_from_what_serves(next_day):
    place, _, done = next_day
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warm start from version 1: 5 domains kept, 1 new, 1 gone;" in done.stdout
    record = json.loads((place / "run" / "run.json").read_text())
    ingested = record["components"]["LogExampleGen"]["outputs"]["examples"]["properties"]
    read = [gzip.decompress(file.read_bytes()) for file in sorted((place / "logs").iterdir())[-WINDOW:]]
    assert ingested["rows"] == sum(len(text.splitlines()) - 1 for text in read)
    assert ingested["date"] == "20240107"
    assert record["launch"]["baseline"] == "1"
    pushed = json.loads((place / "serving" / "2" / "assets.extra" / "mdr_push.json").read_text())
    assert pushed["date"] == "20240107"


def test_the_report_says_from_where_and_what_was_new_and_gone(next_day):
    place, _, _ = next_day
    told = json.loads(mdr("report", "--run", place / "run", "--json").stdout)["warm_start"]
    assert (told["version"], told["warm"]) == (1, True)
    assert (told["domains_new"], told["domains_gone"]) == (["brand_new"], ["channel_06"])
    page = (place / "run" / "report.html").read_text()
    assert told["words"] in page
    assert "New: brand_new." in page and "Gone: channel_06." in page


def test_the_same_day_again_found_or_named_does_nothing(next_day):
    place, command, _ = next_day
    again = mdr(*command, "--set=data.span=2024-01-07")
    assert again.returncode == 0, again.stdout + again.stderr
    components = json.loads((place / "run" / "run.json").read_text())["components"]
    assert {component["state"] for component in components.values()} == {"cached"}
    assert sorted(folder.name for folder in (place / "serving").glob("[0-9]*")) == ["1", "2"]


def test_a_window_without_logs_of_the_asked_date_is_refused_before_anything_runs(next_day):
    _, command, _ = next_day
    done = mdr(*command, "--set=data.span=2024-01-08")
    assert done.returncode == 2
    assert "has no logs of that date" in done.stderr
