"""The plan of CounterfactualAugmenter: who gives rows, who gets them, and that the target is met."""

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from components.counterfactual_augmenter.plan import make_plan
from components.counterfactual_augmenter.settings import AugmentationSettings
from components.item_popularity.popularity import COUNTS


def of(item: str, domain: str, impressions: int, positives: int) -> dict:
    return {"item": item, "domain": domain, "impressions": impressions, "positives": positives}


def table(*counts: dict) -> pa.Table:
    return pa.Table.from_pylist(list(counts), COUNTS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rho": 0}, "greater than 0"),
        ({"rho": 1.01}, "less than or equal to 1"),
        ({"rho": None}, "rho and exposure are both null"),
        ({"exposure": 0}, "greater than or equal to 1"),
        ({"minor_share": 1}, "less than 1"),
        ({"r_aug": 0}, "greater than 0"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        AugmentationSettings(**values)


def test_counts_that_are_not_whole_are_refused():
    with pytest.raises(ValueError, match="not whole"):
        make_plan(table(of("i", "home", 1, None)), AugmentationSettings())


def test_exposure_alone_or_with_rho_says_what_is_unpopular():
    counts = table(of("rare", "home", 2, 2), of("low", "home", 50, 0), of("high", "home", 50, 50))

    def unpopular(**values):
        return set(make_plan(counts, AugmentationSettings(**values)).unpopular["item"].to_pylist())

    assert unpopular(rho=None, exposure=2) == {"rare"}
    assert unpopular(rho=0.05) == {"low"}
    assert unpopular(rho=0.05, exposure=2) == {"rare", "low"}
    assert unpopular(rho=1) == {"rare", "low", "high"}
    assert unpopular(rho=0.75) == {"low"}  # rare has a p(i) of just that


def test_a_minor_domain_gets_rows_by_what_it_lacks_to_the_equal_share():
    counts = table(
        *(of("i", domain, rows, rows) for domain, rows in {"home": 70, "a": 26, "b": 3, "c": 1}.items())
    )
    plan = make_plan(counts, AugmentationSettings(rho=1, minor_share=0.3))
    assert dict(zip(plan.domains["domain"].to_pylist(), plan.domains["drawn"].to_pylist(), strict=True)) == {
        "home": 0,
        "a": 0,  # minor, but above the equal share of 25
        "b": pytest.approx(22 / 46),
        "c": pytest.approx(24 / 46),
    }


names = st.sampled_from("abcdefgh")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(names, names, st.integers(1, 400), st.floats(0, 1)), min_size=1, max_size=30),
    st.floats(0.01, 1),
    st.floats(0.01, 0.5),
)
def test_a_plan_expects_its_target_whatever_the_counts(given_counts, rho, minor_share):
    rows = [(item, domain, n, int(share * n)) for item, domain, n, share in given_counts]
    plan = make_plan(
        table(*(of(*row) for row in rows)), AugmentationSettings(rho=rho, minor_share=minor_share)
    )
    domains = plan.domains.to_pylist()
    assert not any(domain["drawn"] for domain in domains if not domain["minor"])
    p = dict(zip(*(plan.unpopular[name].to_pylist() for name in ("item", "popularity")), strict=True))
    majors = {domain["domain"] for domain in domains if not domain["minor"]}
    positives = Counter()
    for item, domain, _, clicked in rows:
        if item in p and domain in majors:
            positives[item] += clicked
    if plan.reason:
        assert plan.target == 0 and (not sum(positives.values()) or len(majors) in (0, len(domains)))
    else:
        expected = sum(count * plan.copies / p[item] for item, count in positives.items())
        assert expected == pytest.approx(plan.target)
        assert plan.target == pytest.approx(0.1 * sum(row[2] for row in rows))
        assert sum(domain["drawn"] for domain in domains) == pytest.approx(1)
