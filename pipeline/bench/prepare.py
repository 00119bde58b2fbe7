"""A suite's rows as columns: the pipeline's own components before training, once, then decoded."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from components.log_example_gen.settings import SPLITS
from components.log_example_gen.sources import fingerprint
from models.settings import AUGMENTED, PSEUDO
from pipeline.config import Config
from pipeline.run import run
from pipeline.run_folder import RunFolder
from pipeline.source import code_version
from schema.atomic import write_whole

SPEC = "spec.json"
CLASSIFIER = "classifier"


@dataclass(frozen=True)
class Prepared:
    """The columns of a suite.

    Attributes:
        folder: holds `train`, `validation`, `test` and perhaps `augmented`, `pseudo` and `classifier`, and
            the model's inputs in `spec.json`.
    """

    folder: Path

    @property
    def classifier(self) -> Path | None:
        """Folder of the domain classifier; None without one."""
        folder = self.folder / CLASSIFIER
        return folder if folder.is_dir() else None

    def load(self):
        """Return the `FeatureSpec` and the `Columns` by split, `augmented` and `pseudo` perhaps None."""
        from models.features import FeatureSpec
        from models.feeding import load_columns, load_columns_if_any

        spec = FeatureSpec.model_validate_json((self.folder / SPEC).read_text(encoding="utf-8"))
        columns = {split: load_columns([], spec, self.folder / split) for split in SPLITS}
        for split in (AUGMENTED, PSEUDO):
            columns[split] = load_columns_if_any([], spec, self.folder / split)
        return spec, columns


def prepare(config: Config, folder: Path, console: Console) -> Prepared:
    """Ingest, check and transform the rows of a config, unless that was done.

    Args:
        config: what data, with which split. folder: where the pipeline runs and the columns go.
        console: where the progress is shown.

    Raises:
        ConfigError, RunError: see `pipeline.run.run`.
    """
    place = folder / f"columns-{_key(config)}"
    if not (place / SPEC).is_file():
        pipeline = RunFolder(folder / "pipeline")
        until = "PseudoLabeler" if config.classifier else "Transform"
        _decode(config, run(config, pipeline, console, until), place)
    return Prepared(place)


def _key(config: Config) -> str:
    values = config.model_dump(mode="json")
    code = code_version("components/log_example_gen", "components/transform")
    made_of = [fingerprint(config.data), values["log"], values["split"], code]
    if config.augmentation:
        rooms = ("components/counterfactual_augmenter", "components/item_popularity")
        made_of += [values["augmentation"], code_version(*rooms)]
    if config.classifier:
        rooms = ("components/domain_classifier", "components/pseudo_labeler")
        made_of += [values["classifier"], code_version(*rooms)]
    text = json.dumps(made_of)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _decode(config: Config, components: dict, place: Path) -> None:
    """Decode the rows that the last component before training wrote."""
    import tensorflow_transform as tft
    from tfx.utils import path_utils

    from models.domain_classifier import read_description
    from models.features import FeatureSpec
    from models.feeding import load_columns, load_columns_if_any, load_pseudo

    def place_of(component: str, output: str) -> Path:
        return Path(components[component]["outputs"][output]["uri"])

    def files_of(split: str) -> list[str]:
        return sorted(map(str, (examples / f"Split-{split}").glob("*.gz")))

    transform = tft.TFTransformOutput(str(place_of("Transform", "transform_graph")))
    spec = FeatureSpec.from_transform(config.log, transform)
    examples = place_of("Transform", "transformed_examples")
    if config.classifier:
        examples = place_of("PseudoLabeler", "labeled_examples")
        given = path_utils.serving_model_dir(str(place_of("DomainClassifier", "model")))
        folder = shutil.copytree(given, place / CLASSIFIER, dirs_exist_ok=True)
        classes = len(read_description(folder)["classes"])
        load_pseudo(files_of(PSEUDO), spec, place / PSEUDO, classes)
    for split in SPLITS:
        load_columns(files_of(split), spec, place / split)
    load_columns_if_any(files_of(AUGMENTED), spec, place / AUGMENTED)
    write_whole(place / SPEC, spec.model_dump_json())
