"""What the outcome of a rule is."""

from dataclasses import dataclass
from typing import Any

PASS, FAIL, TOO_FEW, NO_BASELINE = "pass", "fail", "too few", "no baseline"
WORDS = {
    "auc": "AUC",
    "logloss": "log loss",
    "calibration": "calibration",
    "mean_domain_auc": "mean domain AUC",
    "major5_auc": "AUC of the 5 largest domains",
    "minor10_auc": "AUC of the 10 smallest domains",
    "minor5_auc": "AUC of the 5 smallest domains",
}


@dataclass(frozen=True)
class Rule:
    """One rule and its outcome.

    Attributes:
        rule: name of the rule, as its key stands in the config.
        domain: the domain it was applied to; None for all rows.
        metric: as in `metrics.json`.
        limit: the smallest or largest allowed value, or both.
        value: what was measured; None where undefined.
        rows: how many rows it was measured on.
        verdict: `pass`, `fail`, `too few` rows to judge, or `no baseline` to compare with.
        text: all of this as one sentence.
        interval: confidence interval of the value. p: of the test, corrected; None for rules without one.
    """

    rule: str
    domain: str | None
    metric: str
    limit: Any
    value: float | None
    rows: int
    verdict: str
    text: str
    interval: tuple[float, float] | None = None
    p: float | None = None
