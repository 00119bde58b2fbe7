"""The benchmark of the augmenter: its truth is the sample's, its controls are what they are called."""

import numpy as np
import pytest

from pipeline.bench import augmenter
from schema.sample.truth import Truth


@pytest.fixture(scope="module")
def figures():
    said = []
    measured = augmenter.run([0.01, 0.25, 1.0], 6000, 25, 0, said.append)
    assert said == measured
    return measured


def test_the_truth_of_each_threshold_is_looked_up(figures):
    none, low, all_items = figures
    assert none == {"rho": 0.01, "items": 0, "rows": 0, "sources": 0}
    assert low["items"] < all_items["items"] == 60
    for row in (low, all_items):
        assert (
            row["rows"] == pytest.approx(0.1 * 6000 * 12 / 14, rel=0.2) and 0 < row["sources"] <= row["rows"]
        )
        for name, ratio in (("random", "lift"), ("same_item", "lift_same_item")):
            value, below, above = row[ratio]
            assert value == pytest.approx(row["augmented"] / row[name]) and below < value < above
    assert all_items["lift"][1] > 1 and all_items["interest"] > 0
    assert low["augmented"] < all_items["augmented"]  # an unpopular item is clicked less, whoever sees it


def test_the_table_has_a_line_for_each_threshold(figures):
    text = augmenter.markdown(figures, 6000, 25, "mdr bench augmenter")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in rows}) == 1 and len(rows) == 4
    assert rows[1].startswith("| 0.01 | 0 | 0 | 0 | –") and "`mdr bench augmenter`" in text


def test_the_interval_of_a_lift_narrows_with_the_rows_and_holds_the_ratio():
    random = np.random.default_rng(1)
    widths = []
    for count in (50, 5000):
        theirs = random.uniform(0.1, 0.3, count)
        value, below, above = augmenter.lift(2 * theirs + random.normal(0, 0.05, count), theirs)
        assert below < value < above and value == pytest.approx(2, abs=0.2)
        widths.append(above - below)
    assert widths[1] < widths[0] / 5


def test_random_pairs_have_no_interest_on_average():
    truth = Truth(users=400, items=300, domains=3, days=2)
    users, items = np.meshgrid(np.arange(400), np.arange(300))
    assert truth.interest(users, items).mean() == pytest.approx(0, abs=0.05)
