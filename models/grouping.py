"""Clusters domains before the training, so that a group can take the place of a domain."""

import tempfile
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
from sklearn.cluster import KMeans

from models.architectures.base import create_model
from models.backend.base import LABEL
from models.columns import Columns
from models.features import FeatureSpec
from models.settings import LearningSettings, ModelSettings
from models.validation import predict

BASE = "dcn"  # the single-domain model whose losses are compared
BINS = 20  # of a domain's loss distribution, as many losses of all domains in each
LEAST = 1e-7  # probabilities are kept this far from 0 and 1


def cluster_domains(
    spec: FeatureSpec,
    settings: ModelSettings,
    learning: LearningSettings,
    train_columns: Columns,
    validation: Columns,
) -> np.ndarray:
    """Group domains that one model finds alike (AREAD, section 3.1, "Pre-Clustering Domains").

    A DCN is trained on all domains; the distribution of its losses in each domain, on the validation rows,
    gives the KL divergence between domains; K-means groups them by it. The paper takes the test rows, which a
    model that is judged on them must not see. The divergence is made symmetric, and a domain is described
    by its divergences from all others.

    Args:
        spec: the model's inputs. settings, learning: of the training that asks.
        train_columns, validation: rows of the two splits.

    Returns:
        The group of each domain, int32 `(n_domains + 1,)`, the unknown domain last in a group of its own.
    """
    from models.backend import create_steps
    from models.trainer import create_optimizer, train

    keras.utils.set_random_seed(learning.seed)
    base = settings.model_copy(
        update={"architecture": BASE, "settings": {}, "plugins": (), "domain_groups": 0}
    )
    model = create_model(spec, base, learning.embedding_l2)
    joint = learning.model_copy(update={"method": "joint", "settings": {}})
    with tempfile.TemporaryDirectory() as work:
        train(model, train_columns, validation, joint, Path(work), Path(work))
    scores = predict(create_steps(model, create_optimizer(joint)), validation)
    groups = group_by_losses(
        log_losses(np.asarray(validation.arrays[LABEL]), scores),
        validation.offsets[: spec.n_domains + 1],
        settings.domain_groups,
        learning.seed,
    )
    return np.append(groups, settings.domain_groups).astype(np.int32)


def log_losses(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the log loss of each row, `(rows,)`."""
    scores = np.clip(scores, LEAST, 1 - LEAST)
    return -np.where(labels > 0.5, np.log(scores), np.log1p(-scores))


def group_by_losses(losses: np.ndarray, offsets: np.ndarray, groups: int, seed: int) -> np.ndarray:
    """Group domains by the KL divergence of their loss distributions.

    Args:
        losses: of the rows, sorted by domain. offsets: first row of each domain, and the end.
        groups: how many; not more than there are domains. seed: of K-means.

    Returns:
        The group of each domain, `(domains,)`.
    """
    edges = np.quantile(losses, np.linspace(0, 1, BINS + 1)[1:-1])
    bins = np.searchsorted(edges, losses)
    counts = [np.bincount(bins[a:b], minlength=BINS) + 1.0 for a, b in pairwise(offsets)]
    share = np.stack(counts) / np.sum(counts, axis=1, keepdims=True)
    log = np.log(share)
    entropy = np.sum(share * log, axis=1)
    divergence = entropy[:, None] - share @ log.T  # KL(i || j)
    distance = divergence + divergence.T
    return KMeans(min(groups, len(share)), n_init=10, random_state=seed).fit_predict(distance)
