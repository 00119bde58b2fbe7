"""What is trained and how, as it stands in a config; light to import."""

from typing import Any

from pydantic import Field

from schema.base import Settings


class ModelSettings(Settings):
    """Which model is built.

    Attributes:
        architecture: a name of the registry (`mdr models` lists them).
        settings: the architecture's own settings; its defaults are the paper's.
        plugins: names of plug-ins, applied in this order.
        embedding_dim: width of every field's embedding.
        unknown_domain_share: share of training rows whose domain is hidden, so that the parameters of the
            unknown domain, which answers for domains never seen, are trained on rows of all domains.
    """

    architecture: str = "mmoe"
    settings: dict[str, Any] = Field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    embedding_dim: int = Field(16, ge=1)
    unknown_domain_share: float = Field(0.01, ge=0, lt=1)


class LearningSettings(Settings):
    """How the parameters move.

    Attributes:
        method: a learning method of the registry. settings: the method's own settings.
        learning_rate: of Adam. embedding_l2: L2 penalty on the embeddings of the rows in a batch.
        batch_size: rows per step. epochs: passes over the training split at most.
        patience: epochs without a better mean domain AUC of the validation split before training stops.
        min_domain_rows: validation domains with fewer rows are left out of that mean.
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
    seed: int = Field(0, ge=0)
