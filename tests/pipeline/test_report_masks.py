"""The experts of each domain in the report: overlap and order by hand, the exported epoch, and the page."""

import json

import numpy as np
import pytest
from report_results import on_a_phone, results_of

from models.masks import MaskSpace
from pipeline.expert_masks import MOST, Comparison, above_chosen, overlap_ratios, read
from pipeline.history import exported_epoch
from pipeline.report.masks import losses
from pipeline.report.page import write_page

EXPERTS = [1, 2, 2]  # 2 edges from level 1 to 2, then 2 x 2


def note(mask, chosen=0.5, others=(0.6, 0.7, None)):
    return {"density": mask.count("1") / len(mask), "chosen": chosen, "others": list(others), "mask": mask}


def search(step, **domains):
    found = {name: value if isinstance(value, dict) else note(value) for name, value in domains.items()}
    return {"step": step, "seconds": 1.0, "domains": found}


def epoch(number, auc, *searches):
    measured = {"epoch": number, "loss": 0.5, "mean_domain_auc": auc}
    return measured | {"n_experts": EXPERTS, "searches": list(searches)}


def bits(*texts):
    return np.array([[bit == "1" for bit in text] for text in texts])


def page_of(history, folder):
    write_page(results_of(history), folder / "report.html")
    return (folder / "report.html").read_text()


def test_overlap_is_the_shared_edges_among_those_of_either():
    ratios = overlap_ratios(bits("111100", "110011", "000011"))
    np.testing.assert_allclose(ratios, [[1, 2 / 6, 0], [2 / 6, 1, 2 / 4], [0, 2 / 4, 1]])


def test_two_random_masks_of_density_04_overlap_by_the_papers_025():
    random = np.random.default_rng(0)
    drawn = np.zeros((60, 90), bool)
    for row in drawn:
        row[random.permutation(90)[:36]] = True
    compared = Comparison([str(row) for row in range(60)], drawn)
    assert compared.random == 0.25
    between = compared.overlap[~np.eye(60, dtype=bool)]
    assert between.mean() == pytest.approx(0.25, abs=0.005)


def test_domains_that_share_experts_stand_side_by_side():
    compared = Comparison(list("abcd"), bits("111000", "000111", "110000", "000011"))
    assert {frozenset(compared.names[:2]), frozenset(compared.names[2:])} == {
        frozenset("ac"),
        frozenset("bd"),
    }
    np.testing.assert_allclose(compared.overlap[:2, :2], [[1, 2 / 3], [2 / 3, 1]])
    np.testing.assert_allclose(compared.overlap[:2, 2:], 0)


def test_the_tree_joins_by_the_mean_of_the_pairs():
    compared = Comparison(list("abc"), bits("1110", "1100", "0011"))
    np.testing.assert_allclose(compared.tree[:, 2], [1 - 2 / 3, (1 - 1 / 4 + 1 - 0) / 2])


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([0.6, 0.7, 0.65], 2),
        ([0.7, 0.7], 1),  # strictly greater wins
        ([0.7, None, 0.6], 3),  # without a score the newest is kept, and any score beats it
        ([0.7, None], 2),
        ([None, None], 2),
    ],
)
def test_the_exported_epoch_is_chosen_as_the_trainer_does(scores, best):
    assert exported_epoch([epoch(number, score) for number, score in enumerate(scores, 1)]) == best


def test_the_masks_are_those_of_the_last_search_up_to_the_exported_epoch():
    history = [
        epoch(1, 0.6, search(10, a="110000", b="111111")),
        epoch(2, 0.7, search(20, a="101010"), search(30, a="111000", c="100011")),  # b was skipped
        epoch(3, 0.65, search(40, a="000001", b="000001", c="000001", d="000001")),
    ]
    found = read(history)
    assert (found.epoch, found.exported, len(found.searches)) == (2, 3, 4)
    assert found.domains == ["a", "b", "c"]
    np.testing.assert_array_equal(found.masks, bits("111000", "111111", "100011"))


def test_active_experts_are_read_off_level_by_level():
    found = read([epoch(1, 0.6, search(10, a="100100", b="111010"))])
    first, second, third = found.use()
    np.testing.assert_allclose(first, [[0.5], [1]])
    np.testing.assert_allclose(second, [[1, 0], [1, 1]])
    np.testing.assert_allclose(third, [[0, 0.5], [1, 0]])
    figures = found.figures()
    assert figures["domains"]["a"] == {"density": 0.3333, "active": [[1], [1], [2]]}
    assert figures["domains"]["b"] == {"density": 0.6667, "active": [[1], [1, 2], [1]]}


def test_json_has_the_masks_or_nothing():
    history = [epoch(1, 0.6, search(10, a="111000", b="110000"))]
    told = json.loads(json.dumps(results_of(history).figures()))["masks"]
    assert (told["n_experts"], told["epoch"], told["step"]) == (EXPERTS, 1, 10)
    assert told["order"] == ["a", "b"]
    assert told["overlap"] == [[1.0, 0.6667], [0.6667, 1.0]]
    assert told["random_overlap"] == round(0.5 / 3 / (0.5 + 1 / 3 - 0.5 / 3), 4)
    assert results_of([{"epoch": 1, "loss": 0.5, "mean_domain_auc": 0.6}]).figures()["masks"] is None


def test_without_hemp_the_page_says_nothing_of_experts(tmp_path):
    history = [{"epoch": 1, "loss": 0.5, "mean_domain_auc": 0.6}]
    assert "Experts of each domain" not in page_of(history, tmp_path)


def test_a_training_without_a_search_says_so_and_what_to_change(tmp_path):
    page = " ".join(page_of([epoch(1, 0.6)], tmp_path).split())
    assert "No search took place:" in page and "every domain uses all experts." in page
    assert "<code>learning.settings.warm_up</code>" in page and "<code>m</code>" in page
    assert "Sparsity over time" not in page and "chosen candidate" not in page
    told = results_of([epoch(1, 0.6)]).figures()["masks"]
    assert (told["step"], told["domains"]) == (None, {})


def begun(row, **masks):
    carried = {name: {"density": mask.count("1") / 6, "mask": mask} for name, mask in masks.items()}
    return row | {"begun_with": carried}


def test_masks_that_a_warm_start_brought_are_those_of_the_model_until_a_search_finds_others():
    history = [
        begun(epoch(1, 0.6), a="110000", b="111111"),
        epoch(2, 0.7, search(20, a="101010", c="100011")),
    ]
    np.testing.assert_array_equal(read(history[:1]).masks, bits("110000", "111111"))
    found = read(history)
    assert found.domains == ["a", "b", "c"]
    np.testing.assert_array_equal(found.masks, bits("101010", "111111", "100011"))


@pytest.mark.parametrize("searches", [[], [search(10, a="100011", c="110000")]])
def test_the_page_shows_the_masks_that_a_warm_start_brought(tmp_path, searches):
    history = [begun(epoch(1, 0.7), a="110000", b="101010"), epoch(2, 0.6, *searches)]
    page = " ".join(page_of(history, tmp_path).split())
    assert "every domain uses all experts" not in page
    assert "masks are those that the training began with" in page
    assert "Active experts" in page and "the mask stayed as it was" not in page
    assert ("above the chosen" in page) == bool(searches)
    told = read(history).figures()
    assert told["step"] is None and set(told["domains"]) == {"a", "b"}


def test_a_mask_that_was_brought_has_no_candidates_beside_those_that_were_searched(tmp_path):
    page = page_of([begun(epoch(1, 0.6, search(10, a="100011")), b="101010")], tmp_path)
    assert "above the chosen" in page and "the mask stayed as it was" not in page


def test_an_exported_epoch_before_any_search_uses_all_experts(tmp_path):
    history = [epoch(1, 0.7), epoch(2, 0.6, search(10, a="110000", b=note("111111", None, [None])))]
    page = page_of(history, tmp_path)
    assert "before the first search: every domain uses all" in " ".join(page.split())
    assert "learning.settings.warm_up" in page
    assert "Active experts" not in page
    assert "the mask stayed as it was: b." in page
    told = read(history).figures()
    assert (told["step"], told["domains"], told["overlap"]) == (None, {}, [])


def test_no_finite_loss_at_all_leaves_the_plot_out(tmp_path):
    null = note("111111", None, [None, None])
    page = page_of([epoch(1, 0.6, search(10, a=null, b=null))], tmp_path)
    assert "the mask stayed as it was: a, b." in page
    assert "above the chosen" not in page


def test_names_are_escaped_wherever_they_stand(tmp_path):
    odd = "</script><b>x</b>"
    domains = {odd: note("110000", None, [None]), "a": note("111111")}
    page = page_of([epoch(1, 0.6, search(10, **domains))], tmp_path)
    assert "<b>x" not in page
    assert page.count("&lt;/script&gt;&lt;b&gt;x") == 2  # in the table of numbers, and among those unjudged


def test_differences_are_to_the_chosen_and_a_single_candidate_has_none():
    assert above_chosen(note("11", 0.5, [0.6, None, 0.9])) == pytest.approx((0.1, 0.25, 0.4))
    assert above_chosen(note("11", 0.5, [])) is None
    assert "alone" in losses({"alone": note("11", 0.4, [])})


def many(count, experts=(3, 6, 12)):
    random = np.random.default_rng(0)
    names = [f"A domain with a long name & number {number}" for number in range(count)]
    edges = MaskSpace(experts).edges
    steps = (100, 2100, 4100)

    def drawn(step):
        return {name: "".join(random.choice(["0", "1"], edges, p=[0.6, 0.4])) for name in names}

    searches = [search(step, **drawn(step)) for step in steps]
    return [epoch(1, 0.6, *searches) | {"n_experts": list(experts)}]


def test_masks_that_are_all_alike_make_a_tree_as_deep_as_it_gets_and_more_are_not_compared(tmp_path):
    names = [f"theme {number}" for number in range(MOST + 1)]
    page = page_of([epoch(1, 0.6, search(10, **dict.fromkeys(names, "111111")))], tmp_path)
    assert f"The {MOST} domains with most rows of {MOST + 1}." in " ".join(page.split())


CASES = {
    "one domain": ([epoch(1, 0.6, search(10, a="110000"))], 6),
    "two domains": ([epoch(1, 0.6, search(10, a="110000", b="111111"))], 7),
    "all experts": ([epoch(1, 0.6, search(10, a="111111", b="111111"))], 7),
    "late domain": ([epoch(1, 0.6, search(10, a="110000"), search(20, a="110000", b="101010"))], 7),
    "numbers for names": ([epoch(1, 0.6, search(10, **{"1": "110000", "20": "101010", "3": "110001"}))], 7),
    "25 domains": (many(25), 7),
    "200 domains": (many(200), 7),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_page_draws_every_plot_and_does_not_scroll_sideways(case, tmp_path, browser):
    history, plots = CASES[case]
    page = page_of(history, tmp_path)
    dom, console = on_a_phone(page, tmp_path, browser)
    assert console == []
    assert f"{plots} plots, 0 pixels too wide" in dom
