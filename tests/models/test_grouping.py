"""Domains are clustered by the divergence of their loss distributions, and a group takes a domain's place."""

import keras
import numpy as np
import pytest
from conftest_models import SPEC, make_columns, make_inputs, small_model
from scipy.stats import entropy

from models import grouping
from models.architectures.base import create_model
from models.grouping import group_by_losses, log_losses
from models.settings import LearningSettings, ModelSettings
from models.trainer import new_model


def test_domains_with_alike_losses_are_one_group():
    random = np.random.default_rng(0)
    scales = [0.1, 1.0, 0.1, 3.0, 1.0]  # five domains of three kinds
    losses = np.concatenate([random.exponential(scale, 400) for scale in scales])
    groups = group_by_losses(losses, np.arange(0, 2001, 400), 3, seed=0)
    assert groups[0] == groups[2] and groups[1] == groups[4]
    assert len({groups[0], groups[1], groups[3]}) == 3


def test_the_divergence_is_that_of_kullback_and_leibler(monkeypatch):
    seen = []

    class Keep:
        def __init__(self, *arguments, **options):
            pass

        def fit_predict(self, distance):
            seen.append(distance)
            return np.zeros(len(distance), int)

    monkeypatch.setattr(grouping, "KMeans", Keep)
    losses = np.random.default_rng(1).exponential(size=300)
    group_by_losses(losses, np.array([0, 100, 300]), 2, seed=0)
    edges = np.quantile(losses, np.linspace(0, 1, 21)[1:-1])
    p, q = (
        np.bincount(np.searchsorted(edges, part), minlength=20) + 1.0 for part in (losses[:100], losses[100:])
    )
    expected = entropy(p / p.sum(), q / q.sum()) + entropy(q / q.sum(), p / p.sum())
    np.testing.assert_allclose(seen[0], [[0, expected], [expected, 0]], atol=1e-12)


def test_a_domain_without_rows_and_more_groups_than_domains_are_no_fault():
    losses = log_losses(np.array([0, 1, 1, 0]), np.array([0.0, 1.0, 0.5, 0.25]))
    np.testing.assert_allclose(losses, [0, 0, np.log(2), -np.log(0.75)], atol=1e-6)
    assert len(set(group_by_losses(losses, np.array([0, 2, 2, 4]), 5, seed=0))) <= 3


@pytest.mark.parametrize("architecture", ["shared_bottom", "mmoe"])
def test_a_group_shares_its_specific_parameters(architecture):
    settings = ModelSettings(architecture=architecture, embedding_dim=4, domain_groups=2)
    model = create_model(SPEC, settings)
    model.domain_group.assign(np.array([1, 0, 1, 2], "int32"))
    assert model.n_domains == 3
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(scale=0.3, size=weight.shape))
    table = model.embedding.table.numpy()
    table[-4:] = table[-1]  # the domains' own embeddings alike: what differs is the group
    model.embedding.table.assign(table)
    inputs = make_inputs(6)
    answers = []
    for domain in range(4):
        inputs["channel"][:] = domain
        answers.append(keras.ops.convert_to_numpy(model(inputs)))
    np.testing.assert_allclose(answers[0], answers[2], rtol=1e-5)
    for other in (answers[1], answers[3]):
        assert np.abs(answers[0] - other).max() > 1e-3


def test_training_begins_with_the_clusters_and_they_are_saved(tmp_path):
    learning = LearningSettings(epochs=1, batch_size=100, seed=3)
    columns = make_columns(600)
    settings = ModelSettings(architecture="shared_bottom", embedding_dim=4, domain_groups=2)
    model = new_model(SPEC, settings, learning, columns, make_columns(300, seed=1))
    groups = model.domain_group.numpy()
    assert groups[-1] == 2 and set(groups[:-1]) == {0, 1}
    model.save_weights(tmp_path / "model.weights.h5")
    other = create_model(SPEC, settings)
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other.domain_group.numpy(), groups)
    plain = small_model("shared_bottom")
    assert plain.domain_group is None
