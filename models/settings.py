"""What is trained and how, as it stands in a config; light to import."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from schema.base import Settings

AUGMENTED = "augmented"  # the split of rows that were made from training rows
PSEUDO = "pseudo"  # the split of a dominant domain's rows, as rows of the domains that they look like


class ModelSettings(Settings):
    """Which model is built.

    Attributes:
        architecture: a name of the registry (`mdr models` lists them).
        settings: the architecture's own settings; its defaults are the paper's.
        plugins: names of plug-ins, applied in this order. plugin_settings: by plug-in: its own settings.
        embedding_dim: width of every field's embedding.
        domain_groups: 0 gives each domain its own specific parameters; otherwise the domains are first
            clustered into so many groups (AREAD, section 3.1), and a group takes the place of a domain.
        unknown_domain_share: share of training rows whose domain is hidden, so that the parameters of the
            unknown domain, which answers for domains never seen, are trained on rows of all domains.
    """

    architecture: str = "mmoe"
    settings: dict[str, Any] = Field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    plugin_settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    embedding_dim: int = Field(16, ge=1)
    domain_groups: int = Field(0, ge=0)
    unknown_domain_share: float = Field(0.01, ge=0, lt=1)


class LearningSettings(Settings):
    """How the parameters move.

    Attributes:
        method: a learning method of the registry. settings: the method's own settings.
        learning_rate: of Adam. embedding_l2: L2 penalty on the embeddings of the rows in a batch.
        batch_size: rows per step. epochs: of each phase of the training, at most.
        patience: epochs without a better mean domain AUC of the validation split before training stops.
        min_domain_rows: validation domains with fewer rows are left out of that mean.
        train_on_augmented: whether the augmented rows, if the config makes any, join the training rows.
        warm_start: whether a training begins with the weights of the pushed model (`mdr run`; see
            docs/daily.md).
        seed: of weights, order of rows and dropout.
    """

    method: str = "joint"
    settings: dict[str, Any] = Field(default_factory=dict)
    learning_rate: float = Field(1e-3, gt=0)
    embedding_l2: float = Field(1e-4, ge=0)
    batch_size: int = Field(2048, ge=1)
    epochs: int = Field(20, ge=1)
    patience: int = Field(2, ge=1)
    min_domain_rows: int = Field(20, ge=2)
    train_on_augmented: bool = False
    warm_start: bool = False
    seed: int = Field(0, ge=0)


class TuningSettings(Settings):
    """What `mdr tune` tries.

    Attributes:
        grid: values to try by key, such as `learning.learning_rate` or `model.settings.tower_units`; the
            defaults are the grid of AREAD (section 3.1).
        trials: combinations tried at most, drawn at random without repeating one.
        minutes: no trial starts after this long; None for no limit.
        seed: of the draw.
    """

    grid: dict[str, tuple[Any, ...]] = Field(
        default_factory=lambda: {
            "learning.learning_rate": (5e-4, 1e-3, 1.5e-3, 2e-3, 3e-3),
            "learning.batch_size": (1024, 2048, 4096),
        },
        min_length=1,
    )
    trials: int = Field(15, ge=1)
    minutes: float | None = Field(None, gt=0)
    seed: int = 0

    @field_validator("grid")
    @classmethod
    def _keys_are_of_model_and_learning(cls, grid: dict) -> dict:
        for key, values in grid.items():
            if key.split(".")[0] not in ("model", "learning"):
                raise ValueError(f"grid key {key!r} must begin with model. or learning.")
            if not values:
                raise ValueError(f"grid key {key!r} has no values to try")
        return grid


def with_values(
    model: ModelSettings, learning: LearningSettings, values: Mapping[str, Any]
) -> tuple[ModelSettings, LearningSettings]:
    """Return the settings with some keys changed.

    Args:
        model, learning: the settings. values: by dotted key, such as `model.settings.tower_units`.

    Raises:
        pydantic.ValidationError: a key or value that the settings do not have.
    """
    changed = {"model": model.model_dump(), "learning": learning.model_dump()}
    for key, value in values.items():
        *parents, last = key.split(".")
        place = changed
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return ModelSettings.model_validate(changed["model"]), LearningSettings.model_validate(
        changed["learning"]
    )
