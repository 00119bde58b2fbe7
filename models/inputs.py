"""What TFX hands to a training or a tuning."""

import hashlib
import json
import tempfile
from itertools import chain
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft

from models.domain_classifier import read_description
from models.features import FeatureSpec
from models.feeding import load_columns, load_columns_if_any, load_pseudo
from models.settings import AUGMENTED, PSEUDO, LearningSettings, ModelSettings
from schema.log_schema import LogSchema


class Inputs:
    """Settings, and the transformed rows as columns.

    Args:
        fn_args: see `models.trainer.run_fn`.

    Attributes:
        log, model, learning: the settings. transform: output of the Transform component.
        spec: the model's inputs. train, validation: the columns of the two splits.
        augmented: those of the augmented rows; None where there are none.
        classifier: folder of the domain classifier; None without one.
        pseudo: the columns of the pseudo-labelled rows (see `load_pseudo`); None without a classifier.
        served: the pushed model to begin with, see `models.warm_start.begin`; None without a warm start.
        work: folder for the state of what is unfinished; its name stands for settings, code and rows.
    """

    def __init__(self, fn_args):
        config = fn_args.custom_config
        self.log = LogSchema.model_validate_json(config["log"])
        chosen = fn_args.hyperparameters  # of a run that was started with another model than the config's
        self.model = ModelSettings.model_validate(chosen or json.loads(config["model"]))
        self.learning = LearningSettings.model_validate_json(config["learning"])
        self.transform = tft.TFTransformOutput(fn_args.transform_graph_path)
        self.spec = FeatureSpec.from_transform(self.log, self.transform)
        files, validation_files = _files(fn_args.train_files), _files(fn_args.eval_files)
        of_split = {name: _of_split(files, name) for name in (AUGMENTED, PSEUDO)}
        train_files = [file for file in files if file not in chain(*of_split.values())]
        self.served = config.get("served")
        self.classifier = Path(fn_args.base_model) if fn_args.base_model else None
        place = config.get("checkpoints") or tempfile.mkdtemp()
        used = {**config, "model": self.model.model_dump_json()}
        key = _key(used, files + validation_files, self.classifier)
        self.work = Path(place) / key
        self.train = load_columns(train_files, self.spec, self.work / "train")
        self.augmented = load_columns_if_any(of_split[AUGMENTED], self.spec, self.work / AUGMENTED)
        self.validation = load_columns(validation_files, self.spec, self.work / "validation")
        self.pseudo = None
        if self.classifier:
            classes = len(read_description(self.classifier)["classes"])
            self.pseudo = load_pseudo(of_split[PSEUDO], self.spec, self.work / PSEUDO, classes)


def _files(patterns: list[str]) -> list[str]:
    return sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))


def _of_split(files: list[str], name: str) -> list[str]:
    return [file for file in files if Path(file).parent.name == f"Split-{name}"]


def _key(config: dict, files: list[str], classifier: Path | None) -> str:
    """Return the name of a training: of its settings, its code, its input files and its domain classifier."""
    sizes = [tf.io.gfile.stat(file).length for file in files]
    named = {name: value for name, value in config.items() if name not in ("checkpoints", "tuning")}
    text = json.dumps([named, files, sizes, str(classifier)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
