"""The gate's rules, on both sides of every limit."""

import json

import pytest
from pydantic import ValidationError
from tfx.types import standard_artifacts

from components.domain_gate.component import DomainGate
from components.domain_gate.rules import blessed, judge
from components.domain_gate.settings import GateSettings


def figures(auc=0.8, logloss=0.5, calibration=1.0, rows=1000, status="ok"):
    return {"auc": auc, "logloss": logloss, "calibration": calibration, "rows": rows, "status": status}


def metrics(overall=None, baseline=None, **domains):
    before = baseline and {"overall": baseline.pop("overall", figures()), "domains": baseline}
    return {"overall": overall or figures(), "domains": domains, "baseline": before, "baseline_note": None}


def gate(**settings):
    return GateSettings.model_validate(settings)


def failed(rules):
    return [(rule.rule, rule.domain) for rule in rules if rule.verdict == "fail"]


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


def test_change_against_the_baseline_on_both_sides_of_the_limit():
    rules = gate(change={"max_auc_loss": 0.01, "max_domain_auc_loss": 0.02})
    held = metrics(figures(0.795), {"overall": figures(0.8), "news": figures(0.8)}, news=figures(0.785))
    assert failed(judge(held, rules)) == []
    worse = metrics(figures(0.785), {"overall": figures(0.8), "news": figures(0.8)}, news=figures(0.775))
    assert failed(judge(worse, rules)) == [
        ("change.max_auc_loss", None),
        ("change.max_domain_auc_loss", "news"),
    ]


def test_a_domain_with_too_few_rows_never_blocks():
    tiny = figures(auc=None, calibration=9.0, rows=3, status="too few")
    rules = judge(metrics(tiny=tiny), gate(domain={"min_auc": 0.9, "calibration": [0.9, 1.1]}))
    assert blessed(rules)
    assert {rule.verdict for rule in rules if rule.domain == "tiny"} == {"too few", "no baseline"}


def test_a_domain_that_the_baseline_does_not_know_is_no_baseline():
    rules = judge(metrics(baseline={"sport": figures()}, news=figures()), gate())
    [change] = [rule for rule in rules if rule.domain == "news" and rule.rule.startswith("change")]
    assert change.verdict == "no baseline"
    assert blessed(rules)


def test_an_undefined_figure_over_all_rows_is_not_blessed_and_said():
    rules = judge(metrics(figures(auc=None, rows=30, status="too few")), gate())
    assert not blessed(rules)
    said = [rule.text for rule in rules if rule.verdict == "fail"]
    assert any("AUC undefined (30 rows are too few" in text for text in said)


def test_settings_without_an_absolute_floor_are_refused():
    with pytest.raises(ValidationError, match=r"overall\.min_auc must be set"):
        gate(overall={"max_logloss": 0.7})
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
