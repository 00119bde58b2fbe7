"""A suite's rows as columns: the pipeline's own components before training, once, then decoded."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from components.log_example_gen.settings import SPLITS
from components.log_example_gen.sources import fingerprint
from models.settings import AUGMENTED
from pipeline.config import Config
from pipeline.run import run
from pipeline.run_folder import RunFolder, read_json, write_whole
from pipeline.source import code_version

SPEC = "spec.json"
LAST = "Transform"  # the last component before training


@dataclass(frozen=True)
class Prepared:
    """The columns of a suite.

    Attributes:
        folder: holds `train`, `validation`, `test` and perhaps `augmented`, and the model's inputs in
            `spec.json`.
    """

    folder: Path

    def load(self):
        """Return the `FeatureSpec` and the `Columns` of each split by name, `augmented` perhaps None."""
        from models.features import FeatureSpec
        from models.feeding import load_columns, load_columns_if_any

        spec = FeatureSpec.model_validate_json((self.folder / SPEC).read_text(encoding="utf-8"))
        columns = {split: load_columns([], spec, self.folder / split) for split in SPLITS}
        columns[AUGMENTED] = load_columns_if_any([], spec, self.folder / AUGMENTED)
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
        run(config, pipeline, console, until=LAST)
        outputs = read_json(pipeline.record)["components"]["Transform"]["outputs"]
        _decode(config, outputs, place)
    return Prepared(place)


def _key(config: Config) -> str:
    values = config.model_dump(mode="json")
    code = code_version("components/log_example_gen", "components/transform")
    made_of = [fingerprint(config.data), values["log"], values["split"], code]
    if config.augmentation:
        rooms = ("components/counterfactual_augmenter", "components/item_popularity")
        made_of += [values["augmentation"], code_version(*rooms)]
    text = json.dumps(made_of)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _decode(config: Config, outputs: dict, place: Path) -> None:
    import tensorflow_transform as tft

    from models.features import FeatureSpec
    from models.feeding import load_columns, load_columns_if_any

    transform = tft.TFTransformOutput(outputs["transform_graph"]["uri"])
    spec = FeatureSpec.from_transform(config.log, transform)
    for split in (*SPLITS, AUGMENTED):
        files = sorted((Path(outputs["transformed_examples"]["uri"]) / f"Split-{split}").glob("*.gz"))
        load = load_columns_if_any if split == AUGMENTED else load_columns
        load(list(map(str, files)), spec, place / split)
    write_whole(place / SPEC, spec.model_dump_json())
