"""The gate's rules, on both sides of every limit."""

import json

import pytest
from pydantic import ValidationError
from scipy.stats import t
from tfx.types import standard_artifacts

from components.domain_evaluator.jackknife import Estimate
from components.domain_gate.component import DomainGate
from components.domain_gate.losses import corrected
from components.domain_gate.rules import blessed, judge
from components.domain_gate.settings import GateSettings


def figures(auc=0.8, logloss=0.5, calibration=1.0, rows=1000, status="ok"):
    named = {"auc": auc, "logloss": logloss, "calibration": calibration}
    return {**named, "rows": rows, "status": status, "intervals": {}}


def metrics(overall=None, changes=None, **domains):
    over = {"mean_domain_auc": 0.7, "major5_auc": 0.8, "minor10_auc": None, "minor5_auc": 0.6}
    return {
        "overall": {**over, **(overall or figures())},
        "domains": domains,
        "changes": changes,
        "baseline_note": None,
        "change_unknown": False,
    }


def change(value, error=0.001):
    """An AUC's change as the evaluator estimates it."""
    if value is None:
        return {"auc": Estimate(None, None, None, None, None)._asdict()}
    return {"auc": Estimate(value, error, 19, value - 2.093 * error, value + 2.093 * error)._asdict()}


def gate(**settings):
    return GateSettings.model_validate(settings)


def failed(rules):
    return [(rule.rule, rule.domain) for rule in rules if rule.verdict == "fail"]


def test_a_limit_that_is_not_named_keeps_its_default():
    settings = gate(overall={"min_auc": 0.6}, domain={"max_logloss": 0.7})
    assert settings.overall.calibration == (0.8, 1.25)
    assert (settings.domain.min_auc, settings.domain.max_logloss) == (0.5, 0.7)
    assert gate(domain={"min_auc": None}).domain.min_auc is None


@pytest.mark.parametrize(
    ("key", "limit", "good", "bad"),
    [
        ("min_auc", 0.7, {"auc": 0.7}, {"auc": 0.6999}),
        ("max_logloss", 0.6, {"logloss": 0.6}, {"logloss": 0.6001}),
        ("calibration", (0.9, 1.1), {"calibration": 0.9}, {"calibration": 0.8999}),
        ("calibration", (0.9, 1.1), {"calibration": 1.1}, {"calibration": 1.1001}),
    ],
)
def test_floors_over_all_rows_and_by_domain(key, limit, good, bad):
    overall = gate(overall={"min_auc": 0.5} | {key: limit})
    assert failed(judge(metrics(figures(**good)), overall)) == []
    assert failed(judge(metrics(figures(**bad)), overall)) == [(f"overall.{key}", None)]
    domain = gate(domain={key: limit})
    assert failed(judge(metrics(news=figures(**good)), domain)) == []
    assert failed(judge(metrics(news=figures(**bad)), domain)) == [(f"domain.{key}", "news")]


def test_a_loss_fails_when_it_is_surely_larger_than_its_limit():
    rules = gate(change={"max_auc_loss": 0.002, "max_domain_auc_loss": 0.002})
    # One-sided at 97.5%, for there are two, and 19 degrees of freedom: 2.093 errors above the limit.
    held = {"overall": change(-0.00409), "domains": {"news": change(-0.00409)}}
    assert failed(judge(metrics(changes=held, news=figures()), rules)) == []
    lost = {"overall": change(-0.0041), "domains": {"news": change(-0.0041)}}
    found = judge(metrics(changes=lost, news=figures()), rules)
    assert failed(found) == [("change.max_auc_loss", None), ("change.max_domain_auc_loss", "news")]
    [news] = [rule for rule in found if rule.domain == "news" and rule.verdict == "fail"]
    assert news.value == 0.0041 and news.p < 0.05 and news.limit == 0.002
    assert news.interval == pytest.approx((0.0041 - 0.002093, 0.0041 + 0.002093))
    unsure = {"overall": change(-0.01, error=0.01), "domains": {"news": change(-0.05, error=0.04)}}
    assert failed(judge(metrics(changes=unsure, news=figures()), rules)) == []


def test_over_many_domains_chance_is_corrected_for():
    domains = {f"d{i}": figures() for i in range(25)}
    one = {name: change(-0.0038 if name == "d3" else 0.0) for name in domains}
    alone = {"overall": change(0.0), "domains": one}
    assert failed(judge(metrics(changes=alone, **domains), gate())) == []  # p = 0.04 is nothing among 25
    one["d3"] = change(-0.006)  # p = 0.0004
    assert failed(judge(metrics(changes=alone, **domains), gate())) == [("change.max_domain_auc_loss", "d3")]


def test_thousands_of_domains_do_not_hide_a_loss_over_all_rows():
    domains = {f"d{i}": figures() for i in range(3000)}
    changes = {"overall": change(-0.006), "domains": {name: change(0.0) for name in domains}}
    found = judge(metrics(changes=changes, **domains), gate())
    assert failed(found) == [("change.max_auc_loss", None)]
    [loss] = [rule for rule in found if rule.rule == "change.max_auc_loss"]
    assert loss.p == pytest.approx(2 * t.sf(4, 19))  # half of the level is the domains'


def test_a_domain_fails_its_floor_if_its_whole_interval_does():
    def news(auc, reach):
        return {**figures(auc), "intervals": {"auc": [auc - reach, auc + reach]}}

    small, sure = judge(metrics(news=news(0.45, 0.06)), gate()), judge(metrics(news=news(0.45, 0.04)), gate())
    assert failed(small) == [] and failed(sure) == [("domain.min_auc", "news")]
    [said] = [rule.text for rule in small if rule.rule == "domain.min_auc"]
    assert said == "domain news: AUC 0.4500 (0.3900 to 0.5100), must be at least 0.5: pass."
    overall = {**figures(0.54), "intervals": {"auc": [0.5, 0.58]}}
    assert failed(judge(metrics(overall), gate())) == [("overall.min_auc", None)]  # what serves is measured


def test_holm_s_correction_by_hand():
    found = corrected([0.01, 0.04, None, 0.03])
    assert found == [pytest.approx(0.03), pytest.approx(0.06), None, pytest.approx(0.06)]
    assert corrected([0.9, 0.8]) == [1.0, 1.0]


def test_groups_have_floors_and_too_few_domains_never_block():
    rules = judge(metrics(), gate(groups={"mean_domain_auc": 0.7, "minor10_auc": 0.9, "minor5_auc": 0.61}))
    assert failed(rules) == [("groups.minor5_auc", None)]
    [few] = [rule for rule in rules if rule.metric == "minor10_auc"]
    assert few.verdict == "too few" and "too few domains" in few.text


def test_a_change_that_cannot_be_known_blocks_over_all_rows_only():
    changes = {"overall": change(None), "domains": {"news": change(None)}}
    found = judge(metrics(changes=changes, news=figures(None, status="too few")), gate())
    assert failed(found) == [("change.max_auc_loss", None)]


def test_a_serving_model_that_may_be_better_holds_a_new_one_back():
    found = judge(metrics(news=figures()) | {"change_unknown": True}, gate())
    assert failed(found) == [("change.max_auc_loss", None)]
    [said] = [rule.text for rule in found if rule.verdict == "fail"]
    assert said == "all rows: change of AUC not known: fail."
    assert {rule.verdict for rule in found if rule.domain == "news"} == {"pass", "no baseline"}


def test_a_domain_with_too_few_rows_never_blocks():
    tiny = figures(auc=None, calibration=9.0, rows=3, status="too few")
    rules = judge(metrics(tiny=tiny), gate(domain={"min_auc": 0.9, "calibration": [0.9, 1.1]}))
    assert blessed(rules)
    assert {rule.verdict for rule in rules if rule.domain == "tiny"} == {"too few", "no baseline"}


def test_a_domain_that_the_baseline_does_not_know_is_no_baseline():
    changes = {"overall": change(0.0), "domains": {"sport": change(0.0)}}
    rules = judge(metrics(changes=changes, news=figures()), gate())
    [loss] = [rule for rule in rules if rule.domain == "news" and rule.rule.startswith("change")]
    assert loss.verdict == "no baseline"
    assert blessed(rules)


def test_an_undefined_figure_over_all_rows_is_not_blessed_and_said():
    rules = judge(metrics(figures(auc=None, rows=30, status="too few")), gate())
    assert not blessed(rules)
    said = [rule.text for rule in rules if rule.verdict == "fail"]
    assert any("AUC undefined (30 rows are too few" in text for text in said)


def test_settings_without_an_absolute_floor_are_refused():
    with pytest.raises(ValidationError, match=r"overall\.min_auc must be set"):
        gate(overall={"min_auc": None, "max_logloss": 0.7})
    with pytest.raises(ValidationError, match="smaller limit comes first"):
        gate(domain={"calibration": [1.1, 0.9]})


@pytest.mark.parametrize(("auc", "name", "value"), [(0.9, "BLESSED", 1), (0.5, "NOT_BLESSED", 0)])
def test_the_blessing_artifact_is_as_tfx_writes_it(tmp_path, auc, name, value):
    evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    for artifact, folder in ((evaluation, "evaluation"), (blessing, "blessing")):
        artifact.uri = str(tmp_path / folder)
        (tmp_path / folder).mkdir()
    (tmp_path / "evaluation" / "metrics.json").write_text(json.dumps(metrics(figures(auc))))
    settings = gate(overall={"min_auc": 0.7}).model_dump_json()
    DomainGate.test_call(evaluation=evaluation, blessing=blessing, settings=settings, code="")
    assert (tmp_path / "blessing" / name).is_file()
    assert blessing.get_int_custom_property("blessed") == value
    verdict = json.loads((tmp_path / "blessing" / "verdict.json").read_text())
    assert verdict["blessed"] is bool(value)
    assert verdict["rules"][0]["value"] == auc


def test_a_run_may_lower_a_threshold_and_a_wrong_one_is_named(tmp_path):
    evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    for folder, artifact in (("evaluation", evaluation), ("blessing", blessing)):
        artifact.uri = str(tmp_path / folder)
        (tmp_path / folder).mkdir()
    (tmp_path / "evaluation" / "metrics.json").write_text(json.dumps(metrics(figures(0.65))))
    given = {"evaluation": evaluation, "blessing": blessing, "code": ""}
    given["settings"] = gate(overall={"min_auc": 0.7}).model_dump_json()
    DomainGate.test_call(**given, overrides='{"overall": {"min_auc": 0.6}}')
    assert blessing.get_int_custom_property("blessed") == 1
    with pytest.raises(ValueError, match=r"overall\.min_acu is not a key.*Did you mean 'min_auc'"):
        DomainGate.test_call(**given, overrides='{"overall": {"min_acu": 0.6}}')
