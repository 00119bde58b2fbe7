"""HEMP: the search side by side against the paper's loop, and what a search leaves behind."""

import numpy as np
import pytest
from conftest_models import SPEC, make_columns, small_model, uncompiled

from models.learning import hemp as hemp_module
from models.mask_search import BatchedSearch, Schedule, SequentialSearch, Trials, write_masks
from models.settings import LearningSettings
from models.trainer import create_method
from schema import progress


def small(**own):
    base = {"dropout": 0.0, "expert_units": (4,), "n_experts": 2}
    return small_model("aread", dropout=0.0, base_settings=base, **own)


def hemp(model, columns, extra=None, **own):
    values = {"warm_up": 2, "m": 100, "z": 3, "k": 2, "rows": 16, "alpha": 0.2, "s": 0.2, **own}
    learning = LearningSettings(method="hemp", settings=values, batch_size=64, learning_rate=0.02)
    return create_method(model, columns, learning, extra)


def some_trials(columns, space, k=3, rows=16):
    rng = np.random.default_rng(0)
    domains = np.array([0, 2, 1])

    def draw():
        return np.stack([rng.integers(*columns.offsets[d : d + 2], rows) for d in domains])

    trials = Trials(domains, np.stack([draw() for _ in range(k)]), draw())
    return trials, space.candidates(rng.random((3, space.edges)), 3, 0.7, 0.2, rng)


# With the second s, candidates are done before the last step; in the first search no mask is in use yet.
@pytest.mark.parametrize(("s", "in_use"), [(0.1, False), (0.45, True)])
def test_the_search_side_by_side_equals_the_loop_and_leaves_no_trace(s, in_use):
    model, columns = small(), make_columns(600)
    method = hemp(model, columns)
    schedule = Schedule(s, 0.2, 0.01)
    with uncompiled():
        list(method.epoch(0))  # the optimizer's slots are in motion
        model.masks_in_use.assign(in_use)
        trials, candidates = some_trials(columns, method.space)
        before = method.steps.snapshot()
        loop = SequentialSearch(method.steps, columns, model.experts.trainable_variables)
        masks, losses = loop.run(trials, candidates, schedule)
        for a, b in zip(before, method.steps.snapshot(), strict=True):
            np.testing.assert_array_equal(a, b)
        found, found_losses = BatchedSearch(method.steps, columns).run(trials, candidates, schedule)
    for a, b in zip(before, method.steps.snapshot(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(found, masks)
    np.testing.assert_allclose(found_losses, losses, rtol=2e-5)
    assert len(np.unique(losses)) == losses.size and (masks.sum(axis=2) < candidates.sum(axis=2)).any()


def test_a_search_in_parts_is_the_search_as_a_whole(monkeypatch):
    model, columns = small(), make_columns(600)
    method = hemp(model, columns)
    trials, candidates = some_trials(columns, method.space)
    with uncompiled():
        whole = BatchedSearch(method.steps, columns).run(trials, candidates, Schedule(0.1, 0.2, 0.01))
        monkeypatch.setattr("models.mask_search.CANDIDATE_ROWS", 50)  # one domain at a time
        parts = BatchedSearch(method.steps, columns).run(trials, candidates, Schedule(0.1, 0.2, 0.01))
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_allclose(whole[1], parts[1], rtol=1e-6)


def test_every_domain_takes_the_candidate_with_the_lowest_loss(monkeypatch):
    model, columns = small(), make_columns(300)
    method = hemp(model, columns, z=4)
    masks = method.space.candidates(
        np.random.default_rng(0).random((3, method.space.edges)), 4, 0.7, 0.3, method.generator(9)
    )
    losses = np.array([[0.4, 0.1, np.nan, 0.3], [np.nan] * 4, [0.9, 0.8, 0.7, np.inf]])
    monkeypatch.setattr(method._search, "run", lambda *_: (masks, losses))
    old = method.space.flat([mask.numpy() for mask in model.experts.masks])
    method.calls = 1
    method.search()
    new = method.space.flat([mask.numpy() for mask in model.experts.masks])
    np.testing.assert_array_equal(new[0], masks[0, 1])
    np.testing.assert_array_equal(new[1], old[1])  # without any finite loss it keeps what it had
    np.testing.assert_array_equal(new[2], masks[2, 2])
    np.testing.assert_array_equal(new[3], old[3])  # the unknown domain has all experts
    about = method._done[-1]["domains"]
    assert about["news"]["chosen"] == 0.1 and about["sport"]["chosen"] is None
    assert about["news"]["others"] == [0.4, None, 0.3]


def test_the_rows_of_a_search_are_drawn_for_some_domains_at_a_time(monkeypatch):
    monkeypatch.setattr(hemp_module, "AT_ONCE", 2, raising=False)
    method, seen = hemp(small(), make_columns(300)), []

    def run(trials, masks, schedule):
        seen.append(trials.domains.tolist())
        assert trials.train.shape == (2, len(trials.domains), 16) and len(trials.judge) == len(masks)
        return masks, np.full(masks.shape[:2], float(len(seen)))

    monkeypatch.setattr(method._search, "run", run)
    method.calls = 1
    method.search()
    assert seen == [[0, 1], [2]]
    assert [note["chosen"] for note in method._done[-1]["domains"].values()] == [1, 1, 2]


def ended(monkeypatch, model, epochs=1, **own):
    """Train with `hemp`, and return what was warned of."""
    method, said = hemp(model, make_columns(300), **own), []
    monkeypatch.setattr(progress, "report", lambda *_, **figures: said.append(figures["warning"]))
    with uncompiled():
        for epoch in range(epochs):
            list(method.epoch(epoch))
    method.ended()
    return said


def test_a_training_without_a_search_says_so(monkeypatch):
    [said] = ended(monkeypatch, small(), warm_up=100, epochs=2)
    assert "no search took place: the training ended after 10 batches" in said
    assert "learning.settings.warm_up is 100" in said


def test_a_model_from_before_the_first_search_says_so(monkeypatch):
    model = small()
    assert ended(monkeypatch, model, z=1, k=1) == []
    method, said = hemp(model, make_columns(300)), []
    method.searches = 1
    model.masks_in_use.assign(False)  # as the best epoch is put back
    monkeypatch.setattr(progress, "report", lambda *_, **figures: said.append(figures["warning"]))
    method.ended()
    [said] = said
    assert "the exported epoch is before the first search" in said and "learning.settings.warm_up" in said


def test_masks_that_a_training_begins_with_are_noted_in_its_first_epoch():
    model = small()
    method = hemp(model, make_columns(300), warm_up=100)
    mask = np.zeros((1, method.space.edges), bool)
    mask[0, [0, -1]] = True
    write_masks(model.experts, method.space, np.array([1]), mask)  # sport's, as a warm start does
    noted = "".join("01"[edge] for edge in mask[0].astype(int))
    with uncompiled():
        list(method.epoch(0))
        figures = method.figures()
        assert figures["searches"] == []
        assert figures["begun_with"] == {
            "sport": {"density": round(2 / method.space.edges, 4), "mask": noted}
        }
        list(method.epoch(1))
    assert "begun_with" not in method.figures()
    method = hemp(small(), make_columns(300), warm_up=100)
    with uncompiled():
        list(method.epoch(0))
    assert "begun_with" not in method.figures()


@pytest.mark.exhaustive
@pytest.mark.parametrize("searched", ["experts", "all"])
def test_masks_are_searched_again_and_again_and_gates_are_remembered_in_between(searched):
    model, columns = small(), make_columns(2100)
    method = hemp(model, columns, m=16, z=2, k=1, searched=searched)
    with uncompiled():
        begin, seen = method.space.candidates, []
        method.space.candidates = lambda gates, *others: seen.append(gates) or begin(gates, *others)
        list(method.epoch(0))
        assert method.searches == 2 and bool(model.masks_in_use.numpy())
        steps = [search["step"] for search in method.figures()["searches"]]
        assert steps == [16, 32]
        list(method.epoch(1))
    assert [search["step"] for search in method.figures()["searches"]] == [49, 65]
    for gates in seen:  # each is the mean of gates that sum to one for every expert
        for level in method.space.levels(gates):
            np.testing.assert_allclose(level.sum(axis=1), 1.0, rtol=1e-5)
    assert len(seen) == 4 and not np.allclose(seen[0], seen[1], rtol=1e-4)
    masks = method.space.flat([mask.numpy() for mask in model.experts.masks])
    assert len(np.unique(masks[:3], axis=0)) == 3 and masks[3].all()
    for name, about in method.figures()["searches"][-1]["domains"].items():
        own = masks[SPEC.domains.index(name)]
        assert about["mask"] == "".join("01"[bit] for bit in own.astype(int))
        assert about["density"] == pytest.approx(own.mean(), abs=1e-4)


def test_augmented_rows_are_for_the_search_of_their_domain_alone():
    model, columns = small(), make_columns(300)
    augmented = make_columns(60, seed=5)
    augmented.arrays["price"][:] = 99.0
    for switch, found in ((True, True), (False, False)):
        method = hemp(model, columns, augmented, augmented=switch)
        trials = method._trials(np.arange(3), method.generator(0))
        seen = {name: array[0] for name, array in method._rows.take(trials.train.ravel(), 1).items()}
        assert (seen["price"] == 99.0).any() == found
        domains = np.broadcast_to(np.arange(3)[None, :, None], trials.train.shape)
        np.testing.assert_array_equal(seen["channel"], domains.ravel())
        judged = method._rows.take(trials.judge.ravel(), 1)
        assert not (judged["price"] == 99.0).any()


def test_masks_come_back_with_the_weights_and_the_searches_with_the_state(tmp_path):
    columns = make_columns(600)
    whole, killed = (hemp(small(), columns, m=8) for _ in range(2))
    with uncompiled():
        list(whole.epoch(0))
        state, own = whole.steps.snapshot(), whole.state()
        killed.steps.restore(state)
        killed.load_state(own)
        for method in (whole, killed):
            list(method.epoch(1))
    for a, b in zip(whole.steps.snapshot(), killed.steps.snapshot(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert whole.searches == killed.searches == 2
    whole.model.save_weights(tmp_path / "model.weights.h5")
    other = small()
    other.load_weights(tmp_path / "model.weights.h5")
    for a, b in zip(whole.model.experts.masks, other.experts.masks, strict=True):
        np.testing.assert_array_equal(a, b)
    assert bool(other.masks_in_use.numpy()) and not other.experts.masks[0].numpy().all()
