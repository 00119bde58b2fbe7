"""Which domains are dominant, and how the classifier of the others is trained."""

from pydantic import Field

from schema.base import Settings


class ClassifierSettings(Settings):
    """What SSCTL (section 3.2) leaves to choose.

    Attributes:
        dominant: names of the dominant domains; empty for a choice by their share.
        dominant_share: a domain with at least this share of the training rows is dominant; where none has
            it, the largest is.
        units: width of each hidden layer. embedding_dim: of the classifier's own embeddings.
        gamma: of the focal loss; 0 makes it the cross entropy.
        balance: a row of a class with n rows weighs n ** -balance. 0, the paper's, leaves the imbalance to
            the focal loss alone, and p near the domains' shares; 1 makes all domains count the same.
        epochs: at most. patience: epochs without a smaller loss on the held-out rows before training stops.
        batch_size: rows per step. learning_rate: of Adam. seed: of weights, held-out rows and order.
        held_out: share of each non-dominant domain's training rows that is kept from training, to stop by and
            to measure the quality on.
    """

    dominant: tuple[str, ...] = ()
    dominant_share: float = Field(0.5, gt=0, le=1)
    units: tuple[int, ...] = (64, 32)
    embedding_dim: int = Field(16, ge=1)
    gamma: float = Field(2.0, ge=0)
    balance: float = Field(0.0, ge=0, le=1)
    epochs: int = Field(20, ge=1)
    patience: int = Field(2, ge=1)
    batch_size: int = Field(1024, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    held_out: float = Field(0.1, gt=0, lt=1)
    seed: int = Field(0, ge=0)
