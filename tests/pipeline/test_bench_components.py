"""The benchmark of the labelling pass: what it measures is there, and adds up."""

import pytest

from components.pseudo_labeler import label
from pipeline.bench import components


def test_both_forms_and_the_whole_pass_are_measured(monkeypatch):
    monkeypatch.setattr(label, "BATCH", 256)
    said = []
    figures = components.run(1000, 2, 2, said.append)
    assert len(said) == 6 and "direct" in said[0] and "whole_pass" in said[5]
    assert all(figures[kind] > 0 for kind in components.KINDS)
    assert len(figures["ratios"]) == 2 and figures["start_seconds"] > 0
    assert figures["ratio"] == pytest.approx(sum(figures["ratios"]) / 2, abs=0.002)
    assert components._held == []
    text = components.markdown(figures, "mdr bench components")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 4 and "1,000 rows" in text and "in batches of 256" in text
