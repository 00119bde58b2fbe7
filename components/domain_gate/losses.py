"""What is lost against the model that serves: a loss blocks when it is surely larger than its limit."""

from typing import Any

from components.domain_evaluator.jackknife import Estimate, p_above
from components.domain_gate.rule import FAIL, NO_BASELINE, PASS, TOO_FEW, WORDS, Rule
from components.domain_gate.settings import Change


def losses(metrics: dict[str, Any], change: Change) -> list[Rule]:
    """Judge the losses over all rows, of the mean over domains, and in every domain.

    Each is tested on the jackknife's difference of both models on the same rows. The p-values of all are
    corrected together, so that chance stops an equal model in a share of at most 1 - confidence of runs.

    Args:
        metrics: content of the evaluator's `metrics.json`. change: the limits.
    """
    changes = metrics["changes"] or {"overall": {}, "domains": {}}
    tests: list[tuple[_Loss, dict[str, Any] | None]] = []
    for key, metric in (("max_auc_loss", "auc"), ("max_mean_domain_auc_loss", "mean_domain_auc")):
        if (limit := getattr(change, key)) is not None:
            rule = _Loss(f"change.{key}", None, metric, limit, metrics["overall"]["rows"])
            tests.append((rule, changes["overall"].get(metric)))
    if (limit := change.max_domain_auc_loss) is not None:
        for name, figures in metrics["domains"].items():
            rule = _Loss("change.max_domain_auc_loss", name, "auc", limit, figures["rows"])
            tests.append((rule, changes["domains"].get(name, {}).get("auc")))
    p = corrected([rule.p(found) for rule, found in tests])
    return [rule.judged(found, p[i], 1 - change.confidence) for i, (rule, found) in enumerate(tests)]


def corrected(p: list[float | None]) -> list[float | None]:
    """Return p-values such that all below a level may be rejected at once.

    Holm's method (Scandinavian Journal of Statistics 6, 1979); None stays None.
    """
    known = sorted((value, place) for place, value in enumerate(p) if value is not None)
    largest, found = 0.0, list(p)
    for rank, (value, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        found[place] = largest
    return found


class _Loss:
    """One rule, before it is judged; see `Rule`."""

    def __init__(self, rule: str, domain: str | None, metric: str, limit: float, rows: int):
        self._name = (rule, domain, metric, limit)
        self._rows = rows
        self._where = f"domain {domain}" if domain is not None else "all rows"

    def p(self, change: dict[str, Any] | None) -> float | None:
        """Return the p-value of a loss within the limit; None where nothing is known."""
        if change is None or change["error"] is None:
            return None
        lost = Estimate(-change["value"], change["error"], change["df"], None, None)
        return p_above(lost, self._name[-1])

    def judged(self, change: dict[str, Any] | None, p: float | None, level: float) -> Rule:
        """Return the outcome.

        Args:
            change: candidate minus baseline as an estimate; None without a baseline. p: of a loss within the
                limit, corrected. level: below which p fails.
        """
        _, domain, metric, limit = self._name
        if p is None:
            unknown = TOO_FEW if domain is not None else FAIL
            verdict = NO_BASELINE if change is None else unknown
            text = f"{self._where}: change of {WORDS[metric]} not known: {verdict}."
            return Rule(*self._name, None, self._rows, verdict, text)
        verdict = FAIL if p < level else PASS
        lost, interval = -change["value"], (-change["high"], -change["low"])
        text = (
            f"{self._where}: {WORDS[metric]} fell by {lost:.4f} ({interval[0]:.4f} to {interval[1]:.4f}),"
            f" may lose {limit:g}, p = {p:.3f}: {verdict}."
        )
        return Rule(*self._name, lost, self._rows, verdict, text, interval, p)
