"""What D3 found, in the report: attention of the exported epoch, weights over epochs, and the page."""

import pytest
from report_results import drawn, on_a_phone, results_of

from pipeline.report.balance import attention, section, weights
from pipeline.report.page import write_page


def domain(complexity=1.0, specificity=1.0, attention=(0.7, 0.3)):
    return {"complexity": complexity, "specificity": specificity, "attention": attention and list(attention)}


def epoch(number, auc, on=False, n_domains=None, **domains):
    told = {"domains": domains, "n_domains": n_domains or len(domains)}
    told |= {"fields": ["user", "channel"], "weights_on": on}
    return {"epoch": number, "loss": 0.5, "mean_domain_auc": auc, "d3": told}


def page_of(history, folder):
    write_page(results_of(history), folder / "report.html")
    return (folder / "report.html").read_text()


def test_without_d3_the_page_says_nothing_of_it(tmp_path):
    history = [{"epoch": 1, "loss": 0.5, "mean_domain_auc": 0.6}]
    assert section(history) is None
    assert "What tells the domains apart" not in page_of(history, tmp_path)


def test_attention_is_that_of_the_exported_epoch_and_weights_begin_where_they_did():
    history = [
        epoch(1, 0.6, a=domain(attention=(0.91, 0.09))),
        epoch(2, 0.7, on=True, a=domain(attention=(0.83, 0.17))),
        epoch(3, 0.65, on=True, a=domain(attention=(0.75, 0.25))),
    ]
    found = section(history)
    assert (found["epoch"], found["begin"], len(found["weights"])) == (2, 2, 2)
    assert "0.83" in found["attention"] and "0.91" not in found["attention"]


def test_the_plots_show_each_epochs_weight_of_each_domain_and_where_they_came_on():
    history = [
        epoch(1, 0.6, a=domain(0.9, 1.1), b=domain(None, None, None)),
        epoch(2, 0.7, a=domain(0.8, 1.2), b=domain(1.3, 0.7)),
        epoch(3, 0.8, on=True, a=domain(0.7, 1.3), b=domain(1.4, 0.6)),
    ]
    for plot, expected in zip(
        section(history)["weights"],
        ({"a": [0.9, 0.8, 0.7], "b": [None, 1.3, 1.4]}, {"a": [1.1, 1.2, 1.3], "b": [None, 0.7, 0.6]}),
        strict=True,
    ):
        traces, layout = drawn(plot)
        assert {trace["name"]: trace["y"] for trace in traces if trace["x"]} == expected
        assert [(line["x0"], line["x1"]) for line in layout["shapes"]] == [(2.5, 2.5)]


def test_even_attention_is_neither_light_nor_dark(tmp_path):
    nearly = {"a": [0.5001, 0.4999], "b": [0.4998, 0.5002]}
    assert '"zmax":1.0,"zmin":0' in attention(nearly, ["user", "channel"])
    assert '"zmax":0.6,"zmin":0' in attention({"a": [0.6, 0.2, 0.1, 0.1]}, ["a", "b", "c", "d"])
    history = [epoch(1, 0.6, a=domain(attention=nearly["a"]))]
    assert "each would get 0.500." in page_of(history, tmp_path)


def test_a_domain_never_seen_has_no_row_and_no_line():
    history = [epoch(1, 0.6, a=domain(), unseen=domain(None, None, None))]
    found = section(history)
    assert (found["shown"], found["domains"], found["begin"]) == (1, 2, None)
    assert "unseen" not in found["attention"] and '"name":"unseen"' not in found["weights"][0]


def test_of_very_many_domains_the_page_says_how_many_it_shows(tmp_path):
    page = page_of([epoch(1, 0.6, n_domains=12000, a=domain(), b=domain())], tmp_path)
    assert "2 of 12,000 domains." in page


def test_star_has_a_gate_but_no_attention(tmp_path):
    history = [epoch(1, 0.6, on=True, a=domain(None, 0.9, None), b=domain(None, 1.2, None))]
    found = section(history)
    assert found["attention"] == "" and len(found["weights"]) == 1
    page = page_of(history, tmp_path)
    assert "from epoch 1 on" in page and "specificity (Eq. 18)" in page and "complexity (Eq. 17)" not in page


def test_the_domains_furthest_from_the_middle_are_named():
    domains = {f"d{i}": domain(specificity=1.0) for i in range(20)} | {"far": domain(specificity=1.4)}
    plot = weights([epoch(1, 0.6, **domains)], "specificity", None)
    assert '"name":"far"' in plot and plot.count('"name":"d') == 5


def test_names_are_escaped():
    odd = "</script><b>x</b>"
    assert "<b>x" not in attention({odd: [1.0]}, [odd])
    assert "<b>x" not in weights([epoch(1, 0.6, **{odd: domain()})], "complexity", 1)


MANY = {f"A domain with a long name & number {i}": domain(specificity=0.5 + i / 30) for i in range(30)}


@pytest.mark.slow
@pytest.mark.parametrize("domains", [{"a": domain()}, MANY], ids=["one domain", "30 domains"])
def test_the_page_draws_every_plot_and_does_not_scroll_sideways(domains, tmp_path, browser):
    page = page_of([epoch(1, 0.6, **domains), epoch(2, 0.7, on=True, **domains)], tmp_path)
    dom, console = on_a_phone(page, tmp_path, browser)
    assert console == []
    assert "6 plots, 0 pixels too wide" in dom
