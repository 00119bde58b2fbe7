"""The domain classifier on disk, for the pass that labels rows and for the models that hold it frozen."""

import json
from pathlib import Path
from typing import Any

import keras

from models.architectures.base import example_inputs
from models.backend.base import store
from models.features import FeatureSpec
from models.layers.domain_classifier import DomainClassifier

WEIGHTS, DESCRIPTION, QUALITY = "classifier.weights.h5", "classifier.json", "quality.json"


def save(classifier: DomainClassifier, folder: Path, quality: dict[str, Any], fingerprint: str) -> None:
    """Write a classifier, last of all the file that says what it is.

    Args:
        classifier: a built one. folder: its own; made if absent.
        quality: how good it is (see `components.domain_classifier.quality`).
        fingerprint: of the inputs that it was trained on, `FeatureSpec.fingerprint`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keras.saving.save_weights(classifier, folder / WEIGHTS)
    (folder / QUALITY).write_text(json.dumps(quality, indent=1), encoding="utf-8")
    description = {
        "fingerprint": fingerprint,
        "better_than_chance": quality.get("better_than_chance") is not False,
        "dominant": classifier.dominant,
        "classes": classifier.classes,
        "units": classifier.units,
        "dim": classifier.dim,
        "spec": classifier.spec.model_dump(mode="json"),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")


def read_description(folder: Path) -> dict[str, Any]:
    """Return what a saved classifier is: `fingerprint`, `better_than_chance`, `dominant`, `classes`, ..."""
    return json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))


def untrained(spec: FeatureSpec) -> DomainClassifier:
    """Return a frozen classifier of random weights, for figures of a model's size and speed.

    Args:
        spec: the model's inputs; the first domain counts as dominant.
    """
    return freeze(_build(DomainClassifier(spec, (0,), (64, 32), 16)))


def load(folder: Path, spec: FeatureSpec) -> DomainClassifier:
    """Return a saved classifier, frozen.

    Args:
        folder: see `save`. spec: the inputs of the model that it is to be part of.

    Raises:
        ValueError: it was trained on other inputs or vocabularies; names both fingerprints.
    """
    saved = read_description(folder)
    if saved["fingerprint"] != spec.fingerprint:
        raise ValueError(
            f"the domain classifier in {folder} was trained on inputs with the fingerprint"
            f" {saved['fingerprint']}, but the model's is {spec.fingerprint}: its indices stand for other"
            " values. Train both on the same output of Transform."
        )
    classifier = _build(DomainClassifier(spec, saved["dominant"], saved["units"], saved["dim"]))
    keras.saving.load_weights(classifier, folder / WEIGHTS)
    classifier.better_than_chance = saved["better_than_chance"]
    return freeze(classifier)


def _build(classifier: DomainClassifier) -> DomainClassifier:
    classifier(example_inputs(classifier.spec))
    return classifier


def freeze(classifier: DomainClassifier) -> DomainClassifier:
    """Return a built classifier as models hold it: no training moves it, or keeps copies of it."""
    classifier.trainable = False
    for weight in classifier.weights:
        store(weight)  # a training must not take it for running state and copy it at every step
    return classifier
