"""The go/no-go decision as a TFX component."""

import json
from dataclasses import asdict
from pathlib import Path

from tfx import v1 as tfx

from components.domain_evaluator.component import METRICS_FILE
from components.domain_gate.rules import blessed, judge
from components.domain_gate.settings import VERDICT_FILE, GateSettings
from schema.overrides import overridden


@tfx.dsl.components.component
def DomainGate(
    evaluation: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.ModelEvaluation],
    blessing: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ModelBlessing],
    settings: tfx.dsl.components.Parameter[str],
    overrides: tfx.dsl.components.Parameter[str] = "",
    code: tfx.dsl.components.Parameter[str] = "",
):
    """Write the blessing, and `verdict.json` with the outcome of every rule.

    Args:
        evaluation: from DomainEvaluator.
        blessing: receives `BLESSED` or `NOT_BLESSED` and the property `blessed`, as TFX's own Evaluator
            writes them, and `verdict.json`.
        settings: `GateSettings` as JSON. overrides: JSON of the keys that differ in this run.
        code: hash of the source, for the cache only.
    """
    metrics = json.loads(Path(evaluation.uri, METRICS_FILE).read_text(encoding="utf-8"))
    limits = overridden(GateSettings.model_validate_json(settings), overrides, "the run's parameter gate")
    rules = judge(metrics, limits)
    passed = blessed(rules)
    verdict = {
        "blessed": passed,
        "baseline_note": metrics["baseline_note"],
        "rules": [asdict(rule) for rule in rules],
    }
    Path(blessing.uri, VERDICT_FILE).write_text(json.dumps(verdict, indent=1), encoding="utf-8")
    Path(blessing.uri, "BLESSED" if passed else "NOT_BLESSED").touch()
    blessing.set_int_custom_property("blessed", int(passed))
