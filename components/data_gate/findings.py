"""What the data gate found, and how it tells a person."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing about the data that is not as expected.

    Attributes:
        split: where it is; for skew the split that is compared with training.
        feature: the column; empty when it concerns the split as a whole.
        kind: `missing`, `type`, `label`, `new_domain`, `vocabulary`, `skew`, `empty` or `other`.
        severity: `stop` ends the run.
        text: what is wrong.
    """

    split: str
    feature: str
    kind: str
    severity: Literal["stop", "warn"]
    text: str

    def __str__(self) -> str:
        where = f"{self.split}: column {self.feature!r}: " if self.feature else f"{self.split}: "
        return f"{where}{self.text} {ADVICE[self.kind]}".rstrip()


ADVICE = {
    "missing": "Bring the column back into the log, or take it out of the config.",
    "type": "Give the column its old type again, or correct the schema file.",
    "label": "Check how the label is made.",
    "new_domain": "Add it to the training data and the schema file, or set checks.new_domain to warn.",
    "vocabulary": "Check how the values are written, or raise checks.max_vocabulary_jump.",
    "skew": "Check what changed in the log, or raise the threshold (checks.max_skew, or the schema file's).",
    "empty": "Check the split settings and the dead letters.",
    "other": "",
}


class DataGateError(ValueError):
    """The data must not be trained on; the message lists why, one line each."""

    def __init__(self, findings: list[Finding]):
        lines = [f"  {finding}" for finding in findings]
        super().__init__("\n".join([f"The data gate stops the run on {len(findings)} finding(s):", *lines]))
        self.findings = findings
