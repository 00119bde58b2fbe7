"""The weights of a pushed model, read back from its SavedModel without loading its graph."""

import json
import re
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.analyzers import sanitized_vocab_filename

from models.features import FeatureSpec
from models.row_sources import Meaning
from models.settings import ModelSettings
from schema.log_schema import LogSchema

DESCRIPTION = "assets.extra/mdr.json"
NUMBER = re.compile(r"_\d+(?=/)")  # of a layer: Keras counts all that the process built before


def weight_names(model) -> list[str]:
    """Return a name for every variable of a model, the same in every process, in their order.

    What domains add to a variable is named after it: which variables those are is a setting of the method.
    """
    alike: dict[str, list] = {}  # by name without the numbers
    for variable in model.variables:
        alike.setdefault(NUMBER.sub("", variable.path), []).append(variable)
    names = {}
    for name, variables in alike.items():
        # As they were made: a method's own parameters change the order in which Keras lists the others.
        ordered = sorted(variables, key=_numbers)
        names |= {id(variable): f"{name}#{place}" for place, variable in enumerate(ordered)}
    specific = model.domain_parameters
    for variable, stacks in zip(specific.of, specific.stacks, strict=True):
        names |= {id(s): f"specific_parameters/{names[id(variable)]}#{j}" for j, s in enumerate(stacks)}
    return [names[id(variable)] for variable in model.variables]


def _numbers(variable) -> list[int]:
    """Return the numbers of a variable's layers, 0 for one without."""
    found = (NUMBER.search(f"{layer}/") for layer in variable.path.split("/")[:-1])
    return [int(number.group()[1:]) if number else 0 for number in found]


def describe_weights(model) -> list:
    """Return name and shape of every variable, in the order in which the SavedModel numbers them."""
    return [[name, list(v.shape)] for name, v in zip(weight_names(model), model.variables, strict=True)]


def meaning(spec: FeatureSpec, log: LogSchema, transform: tft.TFTransformOutput) -> Meaning:
    """Return what the indices of a Transform's output stand for."""
    words = {name: list(transform.vocabulary_by_name(name)) for name in _with_vocabulary(log)}
    return Meaning(spec, words, _scales(log))


class ServedModel:
    """A pushed model, for who goes on from its weights.

    Args:
        folder: the SavedModel.

    Attributes:
        settings: what was built. meaning: what its indices stand for. shapes: of the weights, by name.

    Raises:
        ValueError: it does not hold what is needed.
        OSError: a file is missing.
    """

    def __init__(self, folder: Path):
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if "weights" not in description:
            raise ValueError("it was exported by an mdr that did not note the names of its weights yet")
        self.settings = ModelSettings.model_validate(description["model"])
        spec = FeatureSpec.model_validate(description["spec"])
        log = LogSchema.model_validate(description["log"])
        files = {n: folder / "assets" / sanitized_vocab_filename(n) for n in _with_vocabulary(log)}
        words = {name: file.read_bytes().split(b"\n")[:-1] for name, file in files.items()}
        self.meaning = Meaning(spec, words, _scales(log))
        self.shapes = {name: tuple(shape) for name, shape in description["weights"]}
        self._places = {name: i for i, name in enumerate(self.shapes)}
        try:
            self._reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        except tf.errors.OpError as error:
            raise ValueError(str(error)) from None

    def value(self, name: str) -> np.ndarray:
        """Return one weight.

        Raises:
            ValueError: its file is damaged.
        """
        try:
            return self._reader.get_tensor(f"weights/{self._places[name]}/.ATTRIBUTES/VARIABLE_VALUE")
        except tf.errors.OpError as error:
            raise ValueError(str(error)) from None


def _with_vocabulary(log: LogSchema) -> list[str]:
    return [*log.features_of("categorical"), *log.features_of("sequence")]


def _scales(log: LogSchema) -> dict[str, str]:
    return {name: log.features[name].scale for name in log.features_of("numeric")}
