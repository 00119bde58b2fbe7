"""A day's logs arrive: the window moves, the training goes on from what serves, and a second run does nothing."""

import csv
import json
import shutil

import pytest
from command import mdr

DAY = 86_400


def shifted_day(last, place, gone: str, new: str) -> None:
    """Write the logs of the day after `last`, with a domain less and a domain more."""
    with open(last) as file:
        rows = list(csv.DictReader(file))
    with open(place, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        for i, row in enumerate(rows):
            if row["channel"] != gone:
                row["timestamp"] = int(row["timestamp"]) + DAY
                row["channel"] = new if i % 4 == 0 else row["channel"]
                writer.writerow(row)


@pytest.fixture(scope="module")
def days(pipeline_run, tmp_path_factory):
    place = tmp_path_factory.mktemp("daily")
    return place
