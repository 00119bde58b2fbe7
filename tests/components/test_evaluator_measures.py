"""The evaluator's figures equal scikit-learn's whatever is added up where, and its intervals cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from components.domain_evaluator.jackknife import Estimate, estimate, p_above
from components.domain_evaluator.measures import BINS, METRICS, POINTS, curves, measures
from components.domain_evaluator.sketch import GROUPS, add_up, sketch_slices


def make_rows(rows: int, seed: int, users: int = 300, rate: float = 0.1):
    """Return labels, predictions of two models `(2, rows)` and the users' hashes."""
    random = np.random.default_rng(seed)
    user = random.integers(0, 2**63, users, dtype=np.uint64)[random.integers(0, users, rows)]
    p = random.beta(1, 1 / rate - 1, rows)
    other = np.clip(p * random.lognormal(0, 0.3, rows), 1e-6, 1 - 1e-6)
    return (random.random(rows) < p).astype(np.int8), np.stack([p, other]), user


def sketch_of(label, predictions, user):
    [(_, sketch)] = sketch_slices(np.zeros(len(label), np.int64), label, predictions, user)
    return sketch


def expected(label, p, user) -> dict[str, float]:
    """The metrics by scikit-learn and by hand."""
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    gaps = [abs(label[bins == b].sum() - p[bins == b].sum()) for b in range(BINS)]
    judged = [user == u for u in np.unique(user)]
    judged = [mask for mask in judged if 0 < label[mask].sum() < mask.sum()]
    aucs, weights = [roc_auc_score(label[m], p[m]) for m in judged], [m.sum() for m in judged]
    return {
        "auc": roc_auc_score(label, p),
        "pr_auc": average_precision_score(label, p),
        "logloss": log_loss(label, p),
        "calibration": p.mean() / label.mean(),
        "ece": sum(gaps) / len(p),
        "gauc": np.average(aucs, weights=weights) if judged else np.nan,
    }


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_figures_are_those_of_scikit_learn_with_and_without_each_group_of_users(rate):
    label, predictions, user = make_rows(20_000, 0, rate=rate)
    found = measures(sketch_of(label, predictions, user))
    assert found.shape == (2, len(METRICS), 1 + GROUPS)
    for group in (None, 0, 7):
        kept = np.full(len(label), True) if group is None else user % GROUPS != group
        place = 0 if group is None else group + 1
        for model in range(2):
            wanted = expected(label[kept], predictions[model][kept], user[kept])
            for metric, values in zip(METRICS, found[model], strict=True):
                assert values[place] == pytest.approx(wanted[metric], abs=1e-4), (metric, group, model)


def test_calibration_curves_hold_tenths_of_the_rows_by_prediction():
    label, predictions, user = make_rows(20_000, 0, rate=0.03)
    found = curves(sketch_of(label, predictions, user))
    assert found.shape == (2, POINTS, 3)
    for p, curve in zip(predictions, found, strict=True):
        assert curve[:, 0].sum() == len(p)
        for part, (rows, predicted, clicked) in zip(
            np.array_split(np.argsort(p), POINTS), curve, strict=True
        ):
            assert rows == pytest.approx(len(part), abs=5)
            assert predicted == pytest.approx(p[part].mean(), rel=1e-3)
            assert clicked == pytest.approx(label[part].mean(), abs=3e-3)
    [constant] = curves(sketch_of(label, np.full((1, len(label)), 0.2), user))
    assert constant[constant[:, 0] > 0] == pytest.approx(
        np.array([[len(label), 0.2, label.mean()]]), rel=1e-4
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 200), st.integers(1, 5), st.integers(1, 5))
def test_sketches_add_up_whatever_is_where(seed, rows, parts, slices):
    label, predictions, user = make_rows(rows, seed, users=20, rate=0.4)
    random = np.random.default_rng(seed)
    of_slice, part = random.integers(0, slices, rows), user % np.uint64(parts)  # a user is in one part
    whole = dict(sketch_slices(of_slice, label, predictions, user))
    split = {}
    for number in np.unique(part):
        mask = part == number
        for name, sketch in sketch_slices(of_slice[mask], label[mask], predictions[:, mask], user[mask]):
            split.setdefault(name, []).append(sketch)
    assert split.keys() == whole.keys()
    for name, sketch in whole.items():
        np.testing.assert_allclose(measures(add_up(split[name])), measures(sketch), rtol=1e-9)
        mask = of_slice == name
        alone = sketch_of(label[mask], predictions[:, mask], user[mask])
        np.testing.assert_allclose(measures(alone), measures(sketch), rtol=1e-9)


def test_ties_count_half_and_certain_predictions_are_finite():
    label, p = np.array([0, 1, 1, 0], np.int8), np.array([[0.5, 0.5, 1.0, 0.0]])
    found = dict(zip(METRICS, measures(sketch_of(label, p, np.zeros(4, np.uint64)))[0, :, 0], strict=True))
    assert found["auc"] == pytest.approx((0.5 + 1 + 1 + 1) / 4) == found["gauc"]
    assert found["logloss"] == pytest.approx(-np.log(0.5) / 2, abs=1e-6)


@pytest.mark.parametrize("constant", [0, 1])
def test_of_one_class_orderings_are_not_defined_and_nothing_fails(constant):
    _, predictions, user = make_rows(50, 0)
    found = measures(sketch_of(np.full(50, constant, np.int8), predictions, user))[0, :, 0]
    values = dict(zip(METRICS, found, strict=True))
    assert np.isnan(values["auc"]) and np.isnan(values["gauc"]) and np.isfinite(values["logloss"])
    assert np.isnan(values["calibration"]) == (constant == 0)


def test_the_jackknife_of_a_mean_is_the_usual_standard_error():
    values = np.random.default_rng(0).normal(size=20)
    without = (values.sum() - values) / 19
    found = estimate(np.r_[values.mean(), without], np.full(20, True), 0.95)
    error = values.std(ddof=1) / np.sqrt(20)
    reach = t.ppf(0.975, 19) * error
    assert found == pytest.approx((values.mean(), error, 19, values.mean() - reach, values.mean() + reach))
    assert p_above(found, 0.1) == pytest.approx(t.sf((values.mean() - 0.1) / error, 19))


def test_groups_without_rows_and_undefined_values_say_nothing():
    values, present = np.r_[0.6, np.linspace(0.5, 0.7, 20)], np.arange(20) < 10
    values[3] = np.nan
    assert estimate(values, present, 0.9).df == 8
    assert estimate(np.r_[np.nan, values[1:]], present, 0.9) == Estimate(None, None, None, None, None)
    only = estimate(values, np.arange(20) < 1, 0.9)
    assert only.value == 0.6 and only.low is None and p_above(only, 0) is None


def test_nine_of_ten_intervals_cover_the_auc_though_users_differ():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        users = random.integers(0, 2**63, 200, dtype=np.uint64)
        which = random.integers(0, 200, 2000)
        taste = random.normal(0, 1, 200)[which]  # rows of one user are alike
        score = random.normal(size=2000)
        label = (random.random(2000) < 1 / (1 + np.exp(-score - taste))).astype(np.int8)
        p = 1 / (1 + np.exp(-score))
        found = measures(sketch_of(label, p[None], users[which]))[0, 0]
        interval = estimate(found, np.full(GROUPS, True), 0.9)
        covered += interval.low <= TRUE_AUC <= interval.high
    assert 83 <= covered <= 97


def _true_auc() -> float:
    random = np.random.default_rng(1)
    score, taste = random.normal(size=(2, 1_000_000))
    label = random.random(1_000_000) < 1 / (1 + np.exp(-score - taste))
    return roc_auc_score(label, score)


TRUE_AUC = _true_auc()
