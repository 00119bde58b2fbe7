"""What `mdr run` shows while components work, and what it says of a failure."""

import io
import json

import pytest
from rich.console import Console

from pipeline.beam_runner import innermost_message
from pipeline.watch import Watch, note, seconds


def lines(*events):
    return [json.dumps({"at": 100.0 + i, **event}) for i, event in enumerate(events)]


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=60)


def test_each_component_has_its_state_time_and_rows(console):
    watch = Watch(console)
    watch.update(
        lines(
            {"component": "Trainer", "state": "running"},
            {"component": "Trainer", "epoch": 1, "loss": 0.5, "mean_domain_auc": 0.7, "validated": True},
            {"component": "Trainer", "state": "complete", "rows": 12345},
            {"component": "ModelPusher", "state": "cached"},
        )
    )
    printed = console.file.getvalue()
    assert "epoch 1 · loss 0.5000 · mean domain AUC 0.7000" in printed
    assert "done" in printed and "2.0s" in printed and "12,345 rows" in printed
    assert "reused" in printed


def test_a_warning_is_said_at_once(console):
    watch = Watch(console)
    warning = "no rows are augmented: no domain is minor, not even [promo] and [/sale]."
    watch.update(
        lines(
            {"component": "CounterfactualAugmenter", "state": "running"},
            {"component": "CounterfactualAugmenter", "rows": 0, "warning": warning},
        )
    )
    assert warning in console.file.getvalue()
    assert note(watch.components["CounterfactualAugmenter"]) == warning


def test_the_live_table_fits_a_small_terminal():
    console = Console(file=io.StringIO(), width=40, force_terminal=True, height=10)
    watch = Watch(console)
    with watch:
        event = {"component": "DomainEvaluator", "state": "running", "rows": 10**6, "warning": "[/sale]"}
        watch.update(lines(event))
    shown = Console(width=40).render_lines(watch._table())
    assert all(sum(len(segment.text) for segment in line) <= 40 for line in shown)


def test_the_failed_component_and_its_words_are_found(console):
    watch = Watch(console)
    watch.update(lines({"component": "DataGate", "state": "failed", "error": "new domain 'x'."}))
    assert watch.failure == ("DataGate", "new domain 'x'.")
    silent = Watch(console)
    silent.update(lines({"component": "Trainer", "state": "running"}))
    assert silent.failure[0] == "Trainer"


def test_the_cause_is_found_below_what_beam_wraps_around_it():
    try:
        try:
            raise ValueError("row 7 is odd.")
        except ValueError as error:
            raise RuntimeError("Beam") from error
    except RuntimeError as error:
        assert innermost_message(error) == "row 7 is odd."
    assert innermost_message(RuntimeError("odd. [while running 'Write']")) == "odd."
    assert innermost_message(KeyError()) == "KeyError"


def test_figures_are_short():
    assert seconds({"started": 0, "ended": 125}) == "2m05s"
    assert note({"step": 3, "steps": 9, "steps_per_s": 7.4}) == "3/9 steps · 7 steps/s"
