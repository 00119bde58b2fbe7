"""The sample's logs are what they claim to be: long-tailed, learnable, with a known truth."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from schema.sample.generate import FIRST_DAY, generate, long_tail
from schema.sample.truth import Truth
from schema.sample.write import read_model, write


@pytest.fixture(scope="module")
def sample():
    return generate(150_000)


def column(table: pa.Table, name: str) -> np.ndarray:
    return table[name].to_numpy()


def test_twelve_of_25_domains_hold_less_than_two_percent_together():
    shares = long_tail(25)
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares) < 0).all()
    assert shares[-12:].sum() < 0.02 < shares[-13]


@pytest.mark.parametrize("domains", [1, 2, 3, 7, 100])
def test_any_number_of_domains_has_shares(domains):
    shares = long_tail(domains)
    assert len(shares) == domains and (shares > 0).all() and shares.sum() == pytest.approx(1)


def test_rows_follow_the_shares_and_every_domain_is_there_on_every_day(sample):
    assert sample.log.num_rows == 150_000
    names, counts = np.unique(column(sample.log, "channel"), return_counts=True)
    np.testing.assert_allclose(np.sort(counts)[::-1] / 150_000, long_tail(25), atol=2e-4)
    days = (column(sample.log, "timestamp") - FIRST_DAY) // 86_400
    assert (np.diff(days) >= 0).all()
    for name in names:
        assert len(np.unique(days[column(sample.log, "channel") == name])) == 14


def test_other_shares_can_be_asked_for_as_sscl_has_them():
    log = generate(20_000, days=4, shares=[81, 12.6, 3.5, 1.1, 1.1, 0.6]).log
    counts = np.unique(column(log, "channel"), return_counts=True)[1]
    np.testing.assert_allclose(counts / 20_000, [0.811, 0.126, 0.035, 0.011, 0.011, 0.006], atol=1e-3)


def test_users_see_several_domains_and_items_are_shown_in_several(sample):
    for name in ("user_id", "item_id"):
        pairs = np.unique(
            [column(sample.log, name), np.unique(column(sample.log, "channel"), return_inverse=True)[1]],
            axis=1,
        )
        assert np.median(np.unique(pairs[0], return_counts=True)[1]) >= 5


def test_clicks_come_from_the_true_probability(sample):
    clicked, probability = column(sample.log, "clicked"), column(sample.truth, "probability")
    decile = np.argsort(np.argsort(probability)) * 10 // len(probability)
    for number in range(10):
        rows = decile == number
        assert clicked[rows].mean() == pytest.approx(probability[rows].mean(), abs=0.015)
    assert 0.76 < roc_auc_score(clicked, probability) < 0.84


def test_interest_alone_tells_something_and_far_from_everything(sample):
    clicked = column(sample.log, "clicked")
    assert 0.6 < roc_auc_score(clicked, column(sample.truth, "interest")) < 0.75


def test_the_log_alone_lets_a_simple_model_learn(sample):
    """Click rates per item and domain of the first days order the last days' rows better than chance."""
    log = sample.log.to_pandas()
    train = log["timestamp"] < FIRST_DAY + 12 * 86_400
    overall = log.loc[train, "clicked"].mean()
    score = np.zeros((~train).sum())
    for keys in (["item_id"], ["channel", "category"], ["segment", "category"], ["user_id"]):
        counts = log[train].groupby(keys)["clicked"].agg(["sum", "count"])
        rate = (counts["sum"] + 20 * overall) / (counts["count"] + 20)
        rate = log.loc[~train, keys].merge(rate.rename("rate"), left_on=keys, right_index=True, how="left")[
            "rate"
        ]
        rate = rate.fillna(overall).to_numpy()
        score += np.log(rate / (1 - rate))
    assert roc_auc_score(log.loc[~train, "clicked"], score) > 0.68


def test_popular_items_are_clicked_more_than_interest_explains(sample):
    item, clicked = column(sample.log, "item_id"), column(sample.log, "clicked")
    impressions = np.bincount(item, minlength=sample.model.items)
    popular = impressions >= np.quantile(impressions, 0.9)
    interest = column(sample.truth, "interest")
    assert interest[popular[item]].mean() == pytest.approx(interest[~popular[item]].mean(), abs=0.15)
    assert clicked[popular[item]].mean() > clicked[~popular[item]].mean() + 0.1


def test_interest_is_the_same_in_every_domain_and_taste_is_not(sample):
    model, users = sample.model, np.arange(200)
    logit = [np.log(p / (1 - p)) for p in (model.probability(users, 3, domain) for domain in (0, 1))]
    assert (
        np.std(logit[0] - logit[1] - (logit[0] - logit[1]).mean()) > 0
    )  # conformity differs by user and domain
    calm = model.part("user_conformity")[users] * model.part("popularity")[3]
    spread = model.part("domain_conformity")
    np.testing.assert_allclose(
        logit[0] - calm * spread[0] - (logit[1] - calm * spread[1]), _constant(model), atol=1e-9
    )
    assert np.abs(model.part("taste")[0] - model.part("taste")[1]).max() > 0.5


def _constant(model: Truth) -> float:
    """What tells item 3 in domain 0 from item 3 in domain 1, for any user."""
    category = model.part("category")[3]
    first, second = (
        model.part("bias")[d]
        + model.part("taste")[d, category]
        + model.part("price_taste")[d] * model.part("price")[3]
        for d in (0, 1)
    )
    return first - second


def test_tastes_drift_over_the_days(sample):
    users, items = np.arange(500), np.arange(500) % sample.model.items
    first = sample.model.probability(users, items, 0, days=0)
    assert np.abs(first - sample.model.probability(users, items, 0)).mean() > 0.02


def test_a_written_sample_is_complete_and_its_truth_can_be_asked_again(tmp_path):
    folder = write(tmp_path / "sample", rows=4000, domains=5, days=3, seed=4)
    logs = sorted((folder / "logs").iterdir())
    assert [file.name for file in logs] == [f"2024-01-0{day}.csv.gz" for day in (1, 2, 3)]
    log = pa.concat_tables([pa.csv.read_csv(file) for file in logs])
    truth = pq.read_table(folder / "truth.parquet")
    for name in ("user_id", "item_id", "channel", "timestamp"):
        assert log[name].to_pylist() == truth[name].to_pylist()
    known = generate(4000, domains=5, days=3, seed=4)
    assert truth["probability"].to_pylist() == known.truth["probability"].to_pylist()
    assert log["tags"].to_pylist() == known.log["tags"].to_pylist()
    assert log["price"].null_count == known.log["price"].null_count > 0

    model = read_model(folder)
    day = (column(log, "timestamp") - FIRST_DAY) // 86_400
    channel = np.array([int(name[-2:]) - 1 for name in log["channel"].to_pylist()])
    device = np.array([["phone", "desktop", "tablet"].index(name) for name in log["device"].to_pylist()])
    again = model.probability(
        column(log, "user_id"),
        column(log, "item_id"),
        channel,
        days=day,
        devices=device,
        hours=column(log, "hour"),
    )
    np.testing.assert_allclose(again, column(truth, "probability"))
    about = json.loads((folder / "truth.json").read_text())
    assert about["best_auc"] == pytest.approx(roc_auc_score(column(log, "clicked"), again))
    assert (about["rows"], about["clicks"]) == (4000, column(log, "clicked").sum())


def test_writing_the_same_sample_again_touches_nothing_and_another_one_leaves_no_old_day(tmp_path):
    def state(folder: Path) -> dict:
        return {file.name: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}

    folder = write(tmp_path / "sample", rows=2000, domains=3, days=4)
    before = state(folder)
    assert state(write(folder, rows=2000, domains=3, days=4)) == before
    after = state(write(folder, rows=2000, domains=3, days=3, seed=1))
    assert "2024-01-04.csv.gz" in before and "2024-01-04.csv.gz" not in after
    assert after["truth.parquet"] != before["truth.parquet"]
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not empty and holds no sample; name another folder"):
        write(tmp_path, rows=2000)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"rows": 300},
            "300 rows are too few for 25 domains with at least 28 rows each; ask for 1,400 or more",
        ),
        ({"rows": 5000, "shares": [50, 0]}, r"shares are \[50.0, 0.0\]: each must be greater than 0"),
    ],
)
def test_arguments_that_cannot_be_met_are_refused_and_nothing_is_written(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "sample", **arguments)
    assert not list(tmp_path.iterdir())
