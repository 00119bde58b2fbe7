"""The rules: one verdict per figure and limit, with the reason in words."""

from dataclasses import dataclass
from typing import Any

from components.domain_gate.settings import Floors, GateSettings

PASS, FAIL, TOO_FEW, NO_BASELINE = "pass", "fail", "too few", "no baseline"
WORDS = {"auc": "AUC", "logloss": "log loss", "calibration": "calibration"}


@dataclass(frozen=True)
class Rule:
    """One rule and its outcome.

    Attributes:
        rule: name of the rule, as its key stands in the config.
        domain: the domain it was applied to; None for all rows.
        metric: `auc`, `logloss` or `calibration`.
        limit: the smallest or largest allowed value, or both.
        value: what was measured; None where undefined.
        rows: how many rows it was measured on.
        verdict: `pass`, `fail`, `too few` rows to judge, or `no baseline` to compare with.
        text: all of this as one sentence.
    """

    rule: str
    domain: str | None
    metric: str
    limit: Any
    value: float | None
    rows: int
    verdict: str
    text: str


def judge(metrics: dict[str, Any], settings: GateSettings) -> list[Rule]:
    """Apply every rule.

    Args:
        metrics: content of the evaluator's `metrics.json`.
        settings: the rules.

    Returns:
        The rules' outcomes. A domain with too few rows is reported and never fails; an undefined figure over
        all rows fails, since nothing would be known of the model.
    """
    rules = _floors("overall", None, metrics["overall"], settings.overall)
    for name, figures in metrics["domains"].items():
        rules += _floors("domain", name, figures, settings.domain)
    before = metrics["baseline"]
    change = settings.change
    rules += _loss(
        "change.max_auc_loss", None, metrics["overall"], before and before["overall"], change.max_auc_loss
    )
    for name, figures in metrics["domains"].items():
        was = before and before["domains"].get(name)
        rules += _loss("change.max_domain_auc_loss", name, figures, was, change.max_domain_auc_loss)
    return rules


def blessed(rules: list[Rule]) -> bool:
    """Return whether no rule failed."""
    return all(rule.verdict != FAIL for rule in rules)


def _floors(scope: str, domain: str | None, figures: dict, floors: Floors) -> list[Rule]:
    rules = []
    for key, metric, limit in (
        ("min_auc", "auc", floors.min_auc),
        ("max_logloss", "logloss", floors.max_logloss),
        ("calibration", "calibration", floors.calibration),
    ):
        if limit is None:
            continue
        value = figures[metric]
        if domain is not None and (figures["status"] != "ok" or value is None):
            verdict = TOO_FEW
        elif value is None:
            verdict = FAIL
        elif key == "calibration":
            verdict = PASS if limit[0] <= value <= limit[1] else FAIL
        else:
            verdict = PASS if (value >= limit if key == "min_auc" else value <= limit) else FAIL
        text = _sentence(domain, metric, figures, _bound(key, limit), verdict)
        rules.append(Rule(f"{scope}.{key}", domain, metric, limit, value, figures["rows"], verdict, text))
    return rules


def _loss(rule: str, domain: str | None, now: dict, before: dict | None, limit: float | None) -> list[Rule]:
    if limit is None:
        return []
    if before is None:
        verdict, value = NO_BASELINE, None
    elif now["auc"] is None or before["auc"] is None:
        verdict, value = TOO_FEW if domain is not None else FAIL, None
    else:
        value = before["auc"] - now["auc"]
        verdict = PASS if value <= limit else FAIL
    where = f"domain {domain}" if domain is not None else "all rows"
    if value is None:
        text = f"{where}: change of AUC not known ({verdict})."
    else:
        text = f"{where}: AUC {now['auc']:.4f} after {before['auc']:.4f}, may lose {limit:g}: {verdict}."
    return [Rule(rule, domain, "auc", limit, value, now["rows"], verdict, text)]


def _bound(key: str, limit) -> str:
    if key == "calibration":
        return f"between {limit[0]:g} and {limit[1]:g}"
    return f"at least {limit:g}" if key == "min_auc" else f"at most {limit:g}"


def _sentence(domain: str | None, metric: str, figures: dict, bound: str, verdict: str) -> str:
    where = f"domain {domain}" if domain is not None else "all rows"
    shown = "undefined" if figures[metric] is None else f"{figures[metric]:.4f}"
    if figures["status"] != "ok":
        shown += f" ({figures['rows']} rows are too few, or too few of one class)"
    return f"{where}: {WORDS[metric]} {shown}, must be {bound}: {verdict}."
