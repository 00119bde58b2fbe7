"""Isolated against NumPy, and that its domains have nothing in common."""

import numpy as np
import pytest

from models.architectures.base import create_model
from models.backend import create_steps
from models.backend.optimizer import RowAdam
from models.features import FeatureSpec, InputField
from models.settings import ModelSettings

SPEC = FeatureSpec(
    fields=(
        InputField(name="user", kind="categorical", size=9),
        InputField(name="tags", kind="sequence", size=5, length=3),
        InputField(name="x", kind="numeric"),
    ),
    domain="channel",
    domains=("news", "sport", "music"),
)


def make_inputs(rows, domain, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "user": rng.integers(0, 9, rows).astype("int32"),
        "tags": rng.integers(0, 5, (rows, 3)).astype("int32"),
        "x": rng.normal(size=rows).astype("float32"),
        "channel": np.broadcast_to(np.asarray(domain, "int32"), rows).copy(),
    }


def build(domain_groups=0):
    settings = ModelSettings(
        architecture="isolated",
        settings={"units": (4,)},
        embedding_dim=2,
        domain_groups=domain_groups,
        unknown_domain_share=0.0,
    )
    model = create_model(SPEC, settings, embedding_l2=1e-3)
    rng = np.random.default_rng(2)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    return model


def by_hand(model, inputs, owner):
    """f_d(x_d) of each row, with the embeddings and the MLP of `owner`, the domain or group of the row."""
    k1, b1, k2, b2 = (weight.numpy() for weight in model.tower.weights)
    table, numeric = model.embedding.table.numpy(), model.embedding.numeric.numpy()
    domains = table[-4:]  # one vector a domain, the unknown one included
    copies = table[:-4].reshape(-1, 9 + 5, 2)
    logits = []
    for i, d in enumerate(owner):
        tags = [copies[d, 9 + tag] for tag in inputs["tags"][i] if tag > 0]
        user, mean = copies[d, inputs["user"][i]], np.mean(tags, axis=0) if tags else np.zeros(2)
        x = np.concatenate([user, mean, inputs["x"][i] * numeric[d], domains[inputs["channel"][i]]])
        logits.append((np.maximum(x @ k1[d] + b1[d], 0) @ k2[d] + b2[d])[0])
    return logits


def test_each_domain_has_its_own_embeddings_and_weights():
    model, inputs = build(), make_inputs(12, np.arange(12) % 4)
    np.testing.assert_allclose(model(inputs), by_hand(model, inputs, inputs["channel"]), rtol=1e-4, atol=1e-5)


def test_a_group_of_domains_takes_the_place_of_a_domain():
    model, inputs = build(domain_groups=2), make_inputs(12, np.arange(12) % 4)
    groups = np.array([1, 0, 1, 2], "int32")
    model.domain_group.assign(groups)
    expected = by_hand(model, inputs, groups[inputs["channel"]])
    np.testing.assert_allclose(model(inputs), expected, rtol=1e-4, atol=1e-5)


def predictions(model):
    return np.stack([model(make_inputs(50, domain, seed=7)).numpy() for domain in range(4)])


@pytest.mark.parametrize("trained", [0, 2, 3])
def test_training_on_one_domain_changes_no_other(trained):
    model = build()
    steps = create_steps(model, RowAdam(0.01))

    def train(domain):
        inputs = make_inputs(60, domain, seed=domain)
        label = (inputs["x"] > 0).astype("float32")
        steps.train(
            {key: array.reshape(3, 20, *array.shape[1:]) for key, array in inputs.items()}
            | {"label": label.reshape(3, 20)}
        )

    for domain in range(4):  # so that every domain's momentum would go on moving it
        train(domain)
    before = predictions(model)
    train(trained)
    after = predictions(model)
    for domain in range(4):
        same = np.array_equal(before[domain], after[domain])
        assert same == (domain != trained)
