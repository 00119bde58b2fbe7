"""The domain classifier: what it reads, what it says, and how it comes back from disk."""

import numpy as np
import pytest
from conftest_models import SPEC, make_inputs
from tensorflow_transform import TFTransformOutput

from models import domain_classifier
from models.features import FeatureSpec, InputField
from models.layers.domain_classifier import DomainClassifier
from schema.log_schema import LogSchema

FIELDS = (*SPEC.fields, InputField(name="owner", kind="categorical", size=5, group="domain"))
WITH_OWNER = SPEC.model_copy(update={"fields": FIELDS, "vocabularies": "of the first day"})


def test_p_by_hand(check_layer):
    layer, inputs = DomainClassifier(SPEC, (1,), (6,), 4), make_inputs(9)
    check_layer(layer, inputs, expected_shape=(9, 2))
    assert layer.classes == (0, 2) and layer.compute_output_shape({"price": (9,)}) == (9, 2)
    w1, b1, w2, b2 = (weight.numpy() for weight in layer.weights[-4:])
    x = np.asarray(layer.embedding(inputs)).reshape(9, -1)
    scores = np.exp(np.maximum(x @ w1 + b1, 0) @ w2 + b2)
    p = scores / scores.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(layer.probabilities(inputs), p, rtol=1e-5)


def test_p_hangs_on_neither_domain_nor_label_nor_fields_that_describe_the_domain():
    layer, inputs = DomainClassifier(WITH_OWNER, (0,), (6,), 4), make_inputs(50, WITH_OWNER)
    p = np.asarray(layer.probabilities({**inputs, "label": np.arange(50) % 2}))
    others = make_inputs(50, WITH_OWNER, seed=1)
    for name in ("channel", "owner", "label"):
        shuffled = {**inputs, name: others.get(name, np.zeros(50))}
        np.testing.assert_array_equal(layer.probabilities(shuffled), p)
        inputs.pop(name, None)
    np.testing.assert_array_equal(layer.probabilities(inputs), p)  # they need not even be there
    for name in ("user", "tags", "price", "item"):
        assert not np.array_equal(layer.probabilities({**inputs, name: others[name]}), p)


def test_of_two_domains_the_other_one_is_certain():
    two = SPEC.model_copy(update={"domains": ("home", "rest")})
    layer = DomainClassifier(two, (0,), (6,), 4)
    np.testing.assert_array_equal(layer.probabilities(make_inputs(5, two)), np.ones((5, 1)))


def test_without_a_domain_or_a_field_to_read_there_is_no_classifier():
    with pytest.raises(ValueError, match="every domain is dominant"):
        DomainClassifier(SPEC, (0, 1, 2), (6,), 4)
    bare = SPEC.model_copy(update={"fields": FIELDS[-1:]})
    with pytest.raises(ValueError, match=r"groups .*general.*; there are none"):
        DomainClassifier(bare, (0,), (6,), 4)


def test_a_saved_classifier_comes_back_frozen_and_says_the_same(tmp_path):
    layer, inputs = DomainClassifier(WITH_OWNER, (0,), (6, 3), 4), make_inputs(9, WITH_OWNER)
    p = layer.probabilities(inputs)
    domain_classifier.save(layer, tmp_path / "c", {"accuracy": 0.5}, WITH_OWNER.fingerprint)
    again = domain_classifier.load(tmp_path / "c", WITH_OWNER)
    assert again.better_than_chance
    np.testing.assert_array_equal(again.probabilities(inputs), p)
    assert again.trainable_variables == [] and again.classes == layer.classes
    saved = domain_classifier.read_description(tmp_path / "c")
    assert saved["classes"] == [1, 2] and saved["units"] == [6, 3] and saved["dominant"] == [0]


def test_a_classifier_of_other_vocabularies_is_refused_with_both_fingerprints(tmp_path):
    layer = DomainClassifier(WITH_OWNER, (0,), (6,), 4)
    layer(make_inputs(1, WITH_OWNER))
    domain_classifier.save(layer, tmp_path, {}, WITH_OWNER.fingerprint)
    other = WITH_OWNER.model_copy(update={"vocabularies": "of the second day"})
    with pytest.raises(ValueError) as error:
        domain_classifier.load(tmp_path, other)
    assert WITH_OWNER.fingerprint in str(error.value) and other.fingerprint in str(error.value)


def test_the_fingerprint_is_of_the_order_of_the_vocabularies(tmp_path):
    log = LogSchema.model_validate(
        {"domain": "channel", "label": {"column": "click"}, "features": {"user": None}}
    )
    specs = []
    for number, users in enumerate((["a", "b"], ["a", "b"], ["b", "a"])):
        assets = tmp_path / str(number) / "transform_fn" / "assets"
        assets.mkdir(parents=True)
        (assets / "user").write_text("\n".join(users) + "\n")
        (assets / "channel").write_text("home\nrest\n")
        specs.append(FeatureSpec.from_transform(log, TFTransformOutput(str(tmp_path / str(number)))))
    first, same, other = specs
    assert same.fingerprint == first.fingerprint
    assert other.fields == first.fields and other.fingerprint != first.fingerprint
