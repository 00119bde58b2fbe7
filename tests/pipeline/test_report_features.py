"""The domains' features in the report: two dimensions by hand, click rates, the exported epoch, the page."""

import re
from base64 import b64decode

import numpy as np
import pytest
from report_results import drawn, on_a_phone, results_of

from pipeline.report.features import MANY, flattened, section
from pipeline.report.page import write_page

TITLE = "Features of each domain"


def features_of(count, width=32, seed=0):
    features = np.random.default_rng(seed).normal(size=(count, width)).round(4)
    return {f"domain {number}": row.tolist() for number, row in enumerate(features)}


def epoch(number, auc, features):
    return {"epoch": number, "loss": 0.5, "mean_domain_auc": auc, "dfei": {"domains": features}}


def rates_of(features):
    """Rows and clicks of the domains; the first domain has none."""
    names = list(features)
    return {name: {"rows": 100 * i, "positives": i * i} for i, name in enumerate(names)}


def page_of(history, folder):
    results = results_of(history)
    judged = results.metrics["domains"]["a"]
    for row in history:
        for name, rate in rates_of(row.get("dfei", {"domains": {}})["domains"]).items():
            results.metrics["domains"][name] = judged | rate
    write_page(results, folder / "report.html")
    return " ".join((folder / "report.html").read_text().split())


def test_few_domains_are_shown_by_the_directions_in_which_they_differ_most():
    features = np.array(list(features_of(MANY - 1).values()))
    flat = flattened(features)
    centred = features - features.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    assert flat.method == "PCA"
    np.testing.assert_allclose(np.abs(flat.points), np.abs(centred @ directions[:2].T), atol=1e-8)
    share = sizes[0] ** 2 / (sizes**2).sum()
    assert flat.axes[0] == f"component 1, {share:.0%} of the variance"


def test_many_domains_are_shown_by_t_sne_the_same_each_time():
    features = np.array(list(features_of(MANY).values()))
    features[::2] += 20  # two groups
    flat, again = flattened(features), flattened(features)
    assert flat.method == "t-SNE"
    np.testing.assert_array_equal(flat.points, again.points)
    distances = np.linalg.norm(flat.points[:, None] - flat.points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (distances.argmin(axis=1) % 2 == np.arange(MANY) % 2).all()


@pytest.mark.parametrize("count", [3, 4, MANY, MANY + 5])
@pytest.mark.parametrize("width", [1, 2, 32])
@pytest.mark.parametrize("spread", [0.0, 1.0])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_features_of_any_shape_are_shown(count, width, spread):
    features = spread * np.array(list(features_of(count, width).values()))
    flat = flattened(features)
    assert flat.points.shape == (count, 2) and np.isfinite(flat.points).all()


def test_the_features_are_those_of_the_exported_epoch_coloured_by_click_rate():
    history = [
        epoch(1, 0.6, features_of(5, seed=1)),
        epoch(2, 0.7, features_of(5)),
        epoch(3, 0.65, features_of(5, seed=2)),
    ]
    said = section(history, {"domains": rates_of(features_of(5))})
    assert (said["epoch"], said["count"], said["method"]) == (2, 5, "PCA")
    points = flattened(np.array(list(features_of(5).values()))).points
    [judged, others], _ = drawn(said["plot"])
    assert (judged["name"], others["name"]) == ("by click rate", "no test rows")
    assert judged["text"] == [f"domain {i}" for i in range(1, 5)] and others["text"] == ["domain 0"]
    decoded = np.frombuffer(b64decode(judged["marker"]["color"]["bdata"]))
    np.testing.assert_allclose(decoded, [0.01, 0.02, 0.03, 0.04])
    decoded = np.frombuffer(b64decode(judged["x"]["bdata"]))
    np.testing.assert_allclose(decoded, points[1:, 0])


def test_a_domain_of_which_the_test_split_knows_nothing_is_grey():
    said = section([epoch(1, None, features_of(3))], {"domains": {}})
    assert [trace["name"] for trace in drawn(said["plot"])[0]] == ["no test rows"]


@pytest.mark.parametrize(("count", "method"), [(3, "PCA"), (MANY - 1, "PCA"), (MANY, "t-SNE")])
def test_the_page_says_how_it_came_to_the_picture(count, method, tmp_path):
    page = page_of([epoch(1, 0.6, features_of(count))], tmp_path)
    assert f"The features of {count} domains after epoch 1, the exported one" in page
    assert f"dimensions by {method};" in page


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 domains have"), (1, "1 domain has"), (2, "2 domains have")]
)
def test_too_few_domains_are_said_to_be_too_few(count, said, tmp_path):
    page = page_of([epoch(1, 0.6, features_of(count))], tmp_path)
    assert TITLE in page and f"<p>{said} a feature: too few" in page


def test_without_features_the_page_says_nothing_of_them(tmp_path):
    plain = {"epoch": 1, "loss": 0.5, "mean_domain_auc": 0.6}
    assert TITLE not in page_of([plain], tmp_path)
    assert TITLE not in page_of([], tmp_path)


def test_names_are_escaped(tmp_path):
    features = {"</script><b>x</b>": [0.0, 1.0], **features_of(3, 2)}
    page = page_of([epoch(1, 0.6, features)], tmp_path)
    assert not re.search("<b>x", page)


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 200])
def test_the_page_draws_the_plot_and_does_not_scroll_sideways(count, tmp_path, browser):
    page = page_of([epoch(1, 0.6, features_of(count))], tmp_path)
    dom, console = on_a_phone(page, tmp_path, browser)
    assert console == []
    assert "4 plots, 0 pixels too wide" in dom
