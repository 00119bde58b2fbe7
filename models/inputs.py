"""What TFX hands to a training or a tuning."""

import hashlib
import json
import tempfile
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft

from models.features import FeatureSpec
from models.feeding import load_columns, load_columns_if_any
from models.settings import AUGMENTED, LearningSettings, ModelSettings
from schema.log_schema import LogSchema


class Inputs:
    """Settings, and the transformed rows as columns.

    Args:
        fn_args: see `models.trainer.run_fn`.

    Attributes:
        log, model, learning: the settings. transform: output of the Transform component.
        spec: the model's inputs. train, validation: the columns of the two splits.
        augmented: those of the augmented rows; None where there are none.
        work: folder for the state of what is unfinished; its name stands for settings, code and rows.
    """

    def __init__(self, fn_args):
        config = fn_args.custom_config
        self.log = LogSchema.model_validate_json(config["log"])
        self.model = ModelSettings.model_validate_json(config["model"])
        self.learning = LearningSettings.model_validate_json(config["learning"])
        self.transform = tft.TFTransformOutput(fn_args.transform_graph_path)
        self.spec = FeatureSpec.from_transform(self.log, self.transform)
        all_files, validation_files = _files(fn_args.train_files), _files(fn_args.eval_files)
        augmented_files = [file for file in all_files if Path(file).parent.name == f"Split-{AUGMENTED}"]
        train_files = [file for file in all_files if file not in augmented_files]
        place = config.get("checkpoints") or tempfile.mkdtemp()
        self.work = Path(place) / _key(config, all_files + validation_files)
        self.train = load_columns(train_files, self.spec, self.work / "train")
        self.augmented = load_columns_if_any(augmented_files, self.spec, self.work / AUGMENTED)
        self.validation = load_columns(validation_files, self.spec, self.work / "validation")


def _files(patterns: list[str]) -> list[str]:
    return sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))


def _key(config: dict, files: list[str]) -> str:
    """Return the name of a training: of its settings, its code and its input files."""
    sizes = [tf.io.gfile.stat(file).length for file in files]
    named = {name: value for name, value in config.items() if name not in ("checkpoints", "tuning")}
    text = json.dumps([named, files, sizes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
