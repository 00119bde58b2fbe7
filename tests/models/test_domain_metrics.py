"""Figures over domains, against hand calculations."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models.domain_metrics import over_domains, slice_figures


def domains(*pairs):
    return {f"d{i}": {"rows": rows, "auc": auc} for i, (rows, auc) in enumerate(pairs)}


def test_means_over_domains_with_and_without_weights():
    figures = over_domains(domains((30, 0.8), (10, 0.6), (5, None)))
    assert figures["domain_auc"] == pytest.approx((30 * 0.8 + 10 * 0.6) / 40)
    assert figures["mean_domain_auc"] == pytest.approx(0.7)
    assert figures["major5_auc"] is figures["minor5_auc"] is figures["minor10_auc"] is None


def test_the_groups_are_the_largest_and_the_smallest_domains_weighted_by_rows():
    pairs = [(100 - i, 0.5 + i / 100) for i in range(12)]  # the largest domain has the lowest AUC
    figures = over_domains(domains(*reversed(pairs)))

    def weighted(some):
        return sum(rows * auc for rows, auc in some) / sum(rows for rows, _ in some)

    assert figures["major5_auc"] == pytest.approx(weighted(pairs[:5]))
    assert figures["minor10_auc"] == pytest.approx(weighted(pairs[2:]))
    assert figures["minor5_auc"] == pytest.approx(weighted(pairs[7:]))


def test_no_domain_with_an_auc_leaves_all_undefined():
    assert set(over_domains(domains((3, None))).values()) == {None}


def test_a_slice_of_one_class_has_no_auc_but_a_log_loss():
    labels, scores = np.array([1, 1, 1]), np.array([0.5, 0.25, 1.0])
    figures = slice_figures(labels, scores)
    assert figures["auc"] is None and figures["rows"] == figures["positives"] == 3
    assert figures["logloss"] == pytest.approx(-np.log([0.5, 0.25, 1.0]).mean())
    labels[0] = 0
    assert slice_figures(labels, scores)["auc"] == roc_auc_score(labels, scores)
    assert slice_figures(labels, scores, min_each_class=2)["auc"] is None
