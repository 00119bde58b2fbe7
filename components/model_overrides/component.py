"""The model of a run that was started with another one than the config's, as a TFX component."""

from pathlib import Path

from tfx import v1 as tfx

from models.registry import check
from models.settings import LearningSettings, ModelSettings
from schema.overrides import overridden

FILE = "model.json"


@tfx.dsl.components.component
def ModelOverrides(
    hyperparameters: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.HyperParameters],
    model: tfx.dsl.components.Parameter[str],
    learning: tfx.dsl.components.Parameter[str],
    has_classifier: tfx.dsl.components.Parameter[int],
    overrides: tfx.dsl.components.Parameter[str] = "",
    code: tfx.dsl.components.Parameter[str] = "",
):
    """Write the settings of the model to train, checked before any row is read.

    Args:
        hyperparameters: receives `ModelSettings` as JSON; Trainer takes them instead of the config's.
        model: `ModelSettings` as JSON, of the config. learning: `LearningSettings` as JSON.
        has_classifier: 1 where a domain classifier is trained before.
        overrides: JSON of the keys that differ in this run, such as `{"architecture": "star"}`.
        code: hash of the source, for the cache only.

    Raises:
        ValueError: a key, value, architecture or plug-in that there is not, or that does not fit the others.
    """
    chosen = overridden(ModelSettings.model_validate_json(model), overrides, "the run's parameter model")
    check(chosen, LearningSettings.model_validate_json(learning), bool(has_classifier))
    folder = Path(hyperparameters.uri)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(chosen.model_dump_json(indent=1), encoding="utf-8")
