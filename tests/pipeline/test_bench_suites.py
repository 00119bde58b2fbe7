"""Suites, their statistics and their place in the docs."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from models.registry import find, own_settings
from pipeline.bench.cell import KEYS
from pipeline.bench.quality import check_names, label_of, model_settings, split_overrides
from pipeline.bench.suite import Suite, load_suite, suite_config, suite_names
from pipeline.bench.summary import FIGURES, summarize
from pipeline.bench.tables import render, write_part
from pipeline.config_errors import ConfigError


def test_a_part_of_a_page_is_replaced_in_its_place(tmp_path):
    page = tmp_path / "page.md"
    for name, text in (("a", "one"), ("b", "two"), ("a", r"three \1")):
        write_part(page, name, text)
    parts = page.read_text().split("\n\n")
    assert parts[0::3] == ["<!-- a: begin -->", "<!-- b: begin -->"]
    assert parts[1::3] == [r"three \1", "two"]


def cell(model, seed, score, learning="joint", **domains):
    by_domain = {name: {"auc": auc, "rows": 10} for name, auc in domains.items()}
    figures = dict.fromkeys(KEYS, 0.0) | {"mean_domain_auc": score, "by_domain": by_domain}
    return {**figures, "model": model, "plugins": [], "learning": learning, "seed": seed}


def test_the_test_pairs_seeds_and_picks_what_a_row_is_compared_with():
    scores = {"shared_bottom": [0.70, 0.72, 0.71], "mmoe": [0.71, 0.74, 0.73]}
    cells = [cell(model, seed, s) for model, values in scores.items() for seed, s in enumerate(values)]
    cells += [cell("mmoe", seed, s + 0.01 * seed, "dn") for seed, s in enumerate(scores["mmoe"])]
    rows = {row.name: row for row in summarize(cells, Suite(about="", config="ciao"))}
    assert rows["shared_bottom, joint"].against is None
    assert rows["mmoe, joint"].against == "shared_bottom, joint"
    assert rows["mmoe, joint"].p == pytest.approx(ttest_rel(scores["mmoe"], scores["shared_bottom"]).pvalue)
    assert rows["mmoe, dn"].against == "mmoe, joint"
    mean, deviation = rows["mmoe, joint"].figures["mean_domain_auc"]
    assert mean == pytest.approx(0.7266667) and deviation == pytest.approx(np.std(scores["mmoe"], ddof=1))


def test_relative_improvement_is_that_of_shared_seeds():
    cells = [cell("cgc", 0, 0.6, news=0.6, mail=0.5), cell("cgc", 1, 0.7, news=0.7, mail=None)]
    cells += [cell("ssctl", 1, 0.8, news=0.65, mail=0.6), cell("ssctl", 2, 0.9, news=0.9, mail=0.9)]
    rows = {row.model: row for row in summarize(cells, Suite(about="", config="ciao"))}
    assert rows["ssctl"].against == "cgc, joint" and rows["cgc"].rimp is None
    assert rows["ssctl"].rimp == pytest.approx(0.8 / 0.7 - 1)
    assert rows["ssctl"].domains_rimp == {"news": pytest.approx(0.65 / 0.7 - 1), "mail": None}


def test_a_figure_that_no_cell_kept_has_no_column():
    cells = [{**cell("mmoe", 0, 0.7, news=0.7), "command": "mdr bench quality", "machine": "two cores"}]
    suite = Suite(about="", config="ciao")
    for page in render(cells, suite, "ciao28"):
        assert FIGURES["validation_auc"] in page
    del cells[0]["validation_auc"]  # measured before there was one
    for page in render(cells, suite, "ciao28"):
        assert FIGURES["validation_auc"] not in page and FIGURES["auc"] in page


def test_tables_say_what_was_changed_of_the_suite():
    cells = [{**cell("mmoe", 0, 0.7, news=0.7), "command": "mdr bench quality", "machine": "two cores"}]
    suite = Suite(about="Random 8:1:1.", config="ciao")
    for page in render(cells, suite, "ciao28[8-2]"):
        assert "Random 8:1:1. Changed: 8-2." in page
    assert not any("Changed" in page for page in render(cells, suite, "ciao28"))


def test_every_suite_is_whole():
    for name in suite_names():
        described = load_suite(name)
        assert described.about.endswith(".") and described.reference in described.models
        for values in described.plugin_variants.values():
            entry = find("plugins", values["plugin"])
            own_settings(entry, {key: value for key, value in values.items() if key != "plugin"})


def test_variants_of_plug_ins_are_models_of_their_own(tmp_path):
    described = load_suite("ml1m-age3")
    (tmp_path / "ml-1m").mkdir()
    config = suite_config(described, tmp_path, tmp_path, ["model.plugin_settings.d3.hidden=4"])
    found = {
        name: model_settings(f"adi+{name}", described, config) for name in ("d1", "d2", "d3", "d3-exact")
    }
    assert {model.plugins for model in found.values()} == {("d3",)}
    assert {name: model.plugin_settings["d3"] for name, model in found.items()} == {
        "d1": {"hidden": 4, "fusion": False, "balance": False},
        "d2": {"hidden": 4, "balance": False},
        "d3": {"hidden": 4},
        "d3-exact": {"hidden": 4, "rank": None},
    }
    assert config.model.plugin_settings == {"d3": {"hidden": 4}}
    with pytest.raises(ConfigError, match=r"adi\+d1\+d2 has the plug-in d3 twice"):
        check_names([("adi+d1+d2", "joint")], described, config)
    with pytest.raises(ConfigError, match="d3 does not fit dcn"):
        check_names([("dcn+d1", "joint")], described, config)
    with pytest.raises(ValueError, match="variant 'd1' names no plugin"):
        Suite(about="", config="ciao", plugin_variants={"d1": {"fusion": False}})


def test_an_unknown_suite_and_missing_data_are_said(tmp_path, monkeypatch):
    monkeypatch.delenv("MDR_DATA", raising=False)
    with pytest.raises(ConfigError, match=r"'ml1m' is no suite; there are: adc-2.*Did you mean"):
        load_suite("ml1m")
    described = load_suite("ml1m-age3")
    with pytest.raises(ConfigError, match=r"name the folder that holds ml-1m by --data or MDR_DATA"):
        suite_config(described, None, tmp_path, [])
    with pytest.raises(ConfigError, match="holds no ml-1m"):
        suite_config(described, tmp_path, tmp_path, [])
    (tmp_path / "ml-1m").mkdir()
    monkeypatch.setenv("MDR_DATA", str(tmp_path))
    assert suite_config(described, None, tmp_path, []).data.path == str(tmp_path / "ml-1m")


@pytest.mark.parametrize(
    ("split", "shares"), [("8:1:1", (0.1, 0.1)), ("8:2", (0.08, 0.2)), ("6:2:2", (0.2, 0.2))]
)
def test_random_shares_may_be_given(split, shares, tmp_path):
    config = suite_config(load_suite("ciao28"), _ciao(tmp_path), tmp_path, split_overrides(split))
    assert config.split.by == "random"
    assert (config.split.validation, config.split.test) == pytest.approx(shares)


@pytest.mark.parametrize(
    ("split", "overrides", "label"),
    [
        (None, None, "ml1m-age3"),
        ("8:2", None, "ml1m-age3[8-2]"),
        ("8:2", ["data.path=a/b c", "log.time=null"], "ml1m-age3[8-2,data.path=a-bc,log.time=null]"),
    ],
)
def test_a_changed_suite_has_one_name_as_title_and_folder(split, overrides, label, tmp_path):
    assert label_of("ml1m-age3", split, overrides) == label
    (tmp_path / label).mkdir()
    assert [folder.name for folder in tmp_path.iterdir()] == [label]


def _ciao(folder):
    (folder / "ciao").mkdir()
    (folder / "ciao" / "ratings.parquet").touch()
    return folder
