"""Trains the classifier on the rows of the non-dominant domains, which domain each is of being its label."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from components.domain_classifier.quality import measure
from components.domain_classifier.settings import ClassifierSettings
from models.architectures.base import example_inputs
from models.backend import create_steps
from models.backend.base import LABEL, WEIGHT
from models.backend.optimizer import RowAdam
from models.batches import chunks
from models.columns import Columns
from models.features import FeatureSpec
from models.layers.domain_classifier import DomainClassifier
from schema import progress
from schema.suggest import nearest

LEAST = 1e-7  # 1 - p is kept this far from 0, where a small gamma would have no gradient


class FocalClassifier(keras.Model):
    """A classifier with its focal loss, as `models.backend` trains it."""

    def __init__(self, classifier: DomainClassifier, gamma: float):
        super().__init__()
        self.classifier = classifier
        self.spec = classifier.spec
        self.gamma = gamma

    def call(self, inputs: dict, training: bool = False):
        """Map inputs to logits `(batch, classes)`."""
        return self.classifier(inputs)

    def row_losses(self, labels, outputs):
        """Return -(1 - p_k)^gamma log p_k of a row's class k (Lin et al., ICCV 2017, Eq. 4), `(batch,)`."""
        log_p = ops.take_along_axis(ops.log_softmax(outputs, axis=-1), ops.expand_dims(labels, 1), axis=1)
        log_p = ops.squeeze(log_p, 1)
        return -ops.power(ops.maximum(1 - ops.exp(log_p), LEAST), self.gamma) * log_p

    def weigh(self, losses, inputs: dict):
        """Return the losses as they are; `ClassRows` says what a row weighs."""
        return losses

    def probabilities(self, outputs):
        """Return p, `(batch, classes)`, from the outputs of `call`."""
        return ops.exp(ops.log_softmax(outputs, axis=-1))


def choose_dominant(domains: tuple[str, ...], rows: np.ndarray, settings: ClassifierSettings) -> list[int]:
    """Return the indices of the dominant domains.

    Args:
        domains: names by index. rows: of each in the training split, `(domains,)`. settings: the choice.

    Raises:
        ValueError: a dominant domain that no training row has, or no domain that is not dominant.
    """
    known = [name for name, count in zip(domains, rows, strict=True) if count]
    for name in settings.dominant:
        if name not in known:
            raise ValueError(
                f"classifier.dominant names {name!r}, which no training row has; there are:"
                f" {', '.join(known)}.{nearest(name, known)}"
            )
    chosen = [domains.index(name) for name in settings.dominant]
    if not chosen:
        chosen = np.flatnonzero(rows >= settings.dominant_share * rows.sum()).tolist() or [int(rows.argmax())]
    if len(set(chosen)) == len(domains):
        raise ValueError(
            f"every domain of the training rows is dominant ({', '.join(known)}): the classifier has none to"
            f" tell apart. Name fewer in classifier.dominant, or raise classifier.dominant_share"
            f" ({settings.dominant_share:g})."
        )
    return sorted(set(chosen))


class ClassRows:
    """The rows of the non-dominant domains, some of each held out.

    Args:
        columns: the training split. classes: the domains' indices. settings: how many are held out.

    Attributes:
        train, held_out: row numbers. weights: of a row of each class; their mean over `train` is 1.
    """

    def __init__(self, columns: Columns, classes: tuple[int, ...], settings: ClassifierSettings):
        random = np.random.default_rng([settings.seed, 0])
        self._columns = columns
        self._class_of = np.zeros(len(columns.offsets), "int32")
        self._class_of[list(classes)] = np.arange(len(classes))
        parts = [[], []]
        for domain in classes:
            rows = random.permutation(columns.domain_rows(domain))
            # One at least, so that a small domain is measured, too; but the last one is for the training.
            count = min(max(round(settings.held_out * len(rows)), 1), len(rows) - 1)
            for part, some in zip(parts, (rows[count:], rows[:count]), strict=True):
                part.append(some)
        self.train, self.held_out = (np.concatenate(part) for part in parts)
        counts = np.array([len(part) for part in parts[0]])
        weights = np.maximum(counts, 1.0) ** -settings.balance
        self.weights = (weights * counts.sum() / (weights * counts).sum()).astype("float32")

    def labels(self, rows: np.ndarray) -> np.ndarray:
        """Return the classes of some rows, `(rows,)`."""
        return self._class_of[self._columns.domain_of(rows)]

    def take(self, rows: np.ndarray, steps: int, domain: str) -> dict[str, np.ndarray]:
        """Return a chunk for a compiled call, with the class as the label; no input says the domain."""
        chunk = self._columns.take(rows, steps)
        chunk[LABEL] = self.labels(rows).reshape(steps, -1)
        chunk[WEIGHT] = self.weights[chunk[LABEL]]
        chunk[domain] = np.zeros_like(chunk[domain])
        return chunk


def train_classifier(
    columns: Columns, spec: FeatureSpec, dominant: list[int], settings: ClassifierSettings
) -> tuple[DomainClassifier, dict[str, Any]]:
    """Train a classifier until its loss on the held-out rows stops falling; keep the best epoch's.

    Args:
        columns: rows of the training split. spec: their inputs. dominant: see `choose_dominant`.
        settings: how to train.

    Returns:
        The classifier, and its quality (see `measure`) with the losses of each epoch as `history`.
    """
    keras.utils.set_random_seed(settings.seed)
    classifier = DomainClassifier(spec, dominant, settings.units, settings.embedding_dim)
    model = FocalClassifier(classifier, settings.gamma)
    model(example_inputs(spec))
    steps = create_steps(model, RowAdam(settings.learning_rate))
    rows = ClassRows(columns, classifier.classes, settings)
    history = list(_epochs(steps, rows, settings)) if len(classifier.classes) > 1 else []
    counts = np.bincount(rows.labels(rows.train), minlength=len(classifier.classes))
    p = _predict(steps, rows, settings.batch_size)
    figures = measure(p, rows.labels(rows.held_out), counts, rows.weights)
    names = {"dominant": dominant, "classes": classifier.classes}
    named = {key: [spec.domains[index] for index in indices] for key, indices in names.items()}
    return classifier, {**named, **figures, "history": history}


def _epochs(steps, rows: ClassRows, settings: ClassifierSettings) -> Iterator[dict[str, float]]:
    """Train; yield the losses of each epoch, and end with the best one's weights."""
    best, best_loss, stale = steps.snapshot(), np.inf, 0
    for epoch in range(settings.epochs):
        order = np.random.default_rng([settings.seed, 1, epoch]).permutation(rows.train)
        total = 0.0
        for some, count in chunks(order, settings.batch_size):
            losses = steps.train(rows.take(some, count, steps.model.spec.domain))
            total += float(losses.mean()) * len(some)
        loss = total / len(order)
        held_out = _loss(steps, rows, settings) if len(rows.held_out) else loss
        progress.report("DomainClassifier", epoch=epoch + 1, loss=held_out)
        yield {"epoch": epoch + 1, "loss": loss, "held_out_loss": held_out}
        if held_out < best_loss:
            best, best_loss, stale = steps.snapshot(), held_out, 0
        else:
            stale += 1
        if stale == settings.patience:
            break
    steps.restore(best)


def _predict(steps, rows: ClassRows, batch_size: int) -> np.ndarray:
    """Return p of the held-out rows, `(rows, classes)`."""
    domain, classes = steps.model.spec.domain, len(steps.model.classifier.classes)
    parts = [np.zeros((0, classes), "float32")]
    for first in range(0, len(rows.held_out), batch_size):
        chunk = rows.take(rows.held_out[first : first + batch_size], 1, domain)
        parts.append(steps.predict({n: a[0] for n, a in chunk.items() if n not in (LABEL, WEIGHT)}))
    return np.concatenate(parts)


def _loss(steps, rows: ClassRows, settings: ClassifierSettings) -> float:
    """Return the weighted focal loss of the held-out rows."""
    labels = rows.labels(rows.held_out)
    p = _predict(steps, rows, settings.batch_size)
    losses = steps.model.row_losses(labels, ops.log(ops.maximum(p, LEAST)))
    return float(np.average(ops.convert_to_numpy(losses), weights=rows.weights[labels]))
