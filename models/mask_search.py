"""The search for a domain's mask among candidates: one after another, and all side by side (AREAD)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from keras import ops

from models.backend.base import LABEL, BaseSteps
from models.columns import Columns
from models.masks import MaskSpace

CANDIDATE_ROWS = 1 << 16  # rows times candidates of one compiled call, which bounds its memory


@dataclass(frozen=True)
class Schedule:
    """How candidates are trained and pruned; the names are those of Algorithm 1.

    Attributes:
        s: share of edges in use at which a candidate is done. alpha: share pruned per step.
        lr_u: learning rate of the candidates.
    """

    s: float
    alpha: float
    lr_u: float


class Trials(NamedTuple):
    """The rows that the candidates of some domains are tried on.

    Attributes:
        domains: `(domains,)`. train: row numbers of A_d for each step, `(k, domains, rows)`.
        judge: of the domain's own rows, `(domains, rows)`.
    """

    domains: np.ndarray
    train: np.ndarray
    judge: np.ndarray


class SequentialSearch:
    """Algorithm 1, lines 5 to 14, as it stands: D x Z x k training steps one after another.

    Args:
        steps: of an `aread` model. columns: the rows that trials number.
        moved: the variables that a candidate's steps move; None for all.
    """

    def __init__(self, steps: BaseSteps, columns: Columns, moved=None):
        self.steps = steps
        self.columns = columns
        self.moved = moved
        self.hierarchy = steps.model.experts
        self.space = MaskSpace(self.hierarchy.n_experts)

    def run(self, trials: Trials, masks: np.ndarray, schedule: Schedule) -> tuple[np.ndarray, np.ndarray]:
        """Train and prune candidates, each from the present state, to which everything returns.

        Args:
            trials: the rows. masks: candidates to begin with, `(domains, Z, edges)`.
            schedule: how they are trained and pruned.

        Returns:
            The pruned masks, `(domains, Z, edges)`, and the log loss of each on the domain's own rows,
            `(domains, Z)`.
        """
        before = self.steps.snapshot()  # Theta^(0), and everything else that a step changes
        masks, losses = masks.copy(), np.empty(masks.shape[:2])
        for d, z in np.ndindex(*losses.shape):
            domain = trials.domains[d]
            self.steps.restore(before)
            self.steps.model.masks_in_use.assign(True)  # Eq. 8 in the first search, too
            self.steps.optimizer.learning_rate = schedule.lr_u
            for rows in trials.train[:, d]:
                self._wear(domain, masks[d, z])
                self.steps.train(self.columns.take(rows, 1), self.moved)
                masks[d, z] = self._pruned(domain, masks[d, z], schedule)
                if self.space.density(masks[d, z][None])[0] <= schedule.s:
                    break
            self._wear(domain, masks[d, z])
            losses[d, z] = self._judge(trials.judge[d])
        self.steps.restore(before)
        return masks, losses

    def _wear(self, domain: int, mask: np.ndarray) -> None:
        write_masks(self.hierarchy, self.space, np.array([domain]), mask[None])

    def _pruned(self, domain: int, mask: np.ndarray, schedule: Schedule) -> np.ndarray:
        gates = [np.asarray(level)[domain][None] for level in gates_of_all(self.hierarchy)]
        return self.space.prune(mask[None], self.space.flat(gates), schedule.alpha)[0]

    def _judge(self, rows: np.ndarray) -> float:
        inputs = {name: array[0] for name, array in self.columns.take(rows, 1).items()}
        labels = inputs.pop(LABEL)
        chance = np.clip(self.steps.predict(inputs).astype("float64"), 1e-7, 1 - 1e-7)
        return float(-np.mean(labels * np.log(chance) + (1 - labels) * np.log(1 - chance)))


class BatchedSearch:
    """The candidates of many domains side by side, each with its own copy of the experts above the base.

    What all candidates have in common is computed once: the base recommender and the embeddings stay as they
    are, and what they make of a row serves all candidates of a domain. What a mask chooses among, experts,
    gates and their vectors, moves as in `SequentialSearch` over these variables, without dropout. Nothing in
    the model changes.

    Args:
        steps: of an `aread` model. columns: the rows that trials number.
    """

    def __init__(self, steps: BaseSteps, columns: Columns):
        self.steps = steps
        self.columns = columns
        self.hierarchy = steps.model.experts
        self.space = MaskSpace(self.hierarchy.n_experts)
        self._represent = steps.compiled(self._represented)
        self._gradient = steps.differentiated(self._loss)
        self._step = steps.compiled(self._stepped)
        self._judge = steps.compiled(self._judged)

    def run(self, trials: Trials, masks: np.ndarray, schedule: Schedule) -> tuple[np.ndarray, np.ndarray]:
        """Train and prune candidates; see `SequentialSearch.run`."""
        at_once = max(1, CANDIDATE_ROWS // (masks.shape[1] * trials.judge.shape[1]))
        parts = [slice(first, first + at_once) for first in range(0, len(masks), at_once)]
        done = [
            self._some(Trials(trials.domains[p], trials.train[:, p], trials.judge[p]), masks[p], schedule)
            for p in parts
        ]
        return tuple(np.concatenate(results) for results in zip(*done, strict=True))

    def _some(self, trials: Trials, masks: np.ndarray, schedule: Schedule):
        shape, count = masks.shape, masks.shape[1]
        masks = masks.reshape(-1, shape[-1])
        domains = np.repeat(trials.domains, count)
        values, moments = self._start(domains)
        going = np.ones(len(masks), bool)
        for step, rows in enumerate(trials.train, start=1):
            x, labels = self._rows(trials.domains, rows, count)
            number = self.steps.optimizer.iterations + step
            rate = ops.convert_to_tensor(schedule.lr_u, "float32")
            levels = self.space.levels(masks)
            values, moments, gates = self._step(values, moments, x, labels, levels, going, rate, number)
            pruned = self.space.prune(masks, self.space.flat(gates), schedule.alpha)
            masks = np.where(going[:, None], pruned, masks)
            going = going & (self.space.density(masks) > schedule.s)
            if not going.any():
                break
        x, labels = self._rows(trials.domains, trials.judge, count)
        losses = self._judge(values, x, labels, self.space.levels(masks))
        return masks.reshape(shape), np.asarray(losses).reshape(shape[:2])

    def _start(self, domains: np.ndarray) -> tuple[list, list]:
        """Return a copy of the experts' weights for each candidate, and of their moments."""
        optimizer, hierarchy = self.steps.optimizer, self.hierarchy
        shared = hierarchy.shared
        stacked = [
            [ops.repeat(ops.expand_dims(v, 0), len(domains), axis=0) for v in kind]
            for kind in (shared, *zip(*map(optimizer.moments, shared), strict=True))
        ]
        own = (hierarchy.domain_vectors, *optimizer.moments(hierarchy.domain_vectors))
        values, *moments = [
            [*copies, ops.take(v, domains, axis=0)] for copies, v in zip(stacked, own, strict=True)
        ]
        return values, moments

    def _rows(self, domains: np.ndarray, rows: np.ndarray, count: int):
        """Return what the base makes of rows `(domains, rows)`, and their labels, for every candidate."""
        batch = {name: array[0] for name, array in self.columns.take(rows.ravel(), 1).items()}
        labels = batch.pop(LABEL).reshape(rows.shape)
        x = self._represent(self.steps.tensors(batch))
        x = ops.reshape(x, (*rows.shape, x.shape[-1]))
        return ops.repeat(x, count, axis=0), ops.convert_to_tensor(np.repeat(labels, count, axis=0))

    def _represented(self, inputs):
        return self.steps.model.represent(*self.steps.model.embed(inputs), training=False)

    def _outputs(self, values, x, masks):
        *shared, own = values
        gates = self.hierarchy.gates(shared, own, masks)
        in_use = ops.expand_dims(ops.any(masks[-1], axis=1), 1)
        return self.hierarchy.outputs(shared, x, gates, masks), in_use

    def _loss(self, values, x, labels, masks):
        """Return the sum over candidates of Eq. 8's mean over rows, so that each has its own gradient."""
        losses = self.steps.model.bagged(labels, self._outputs(values, x, masks))
        return ops.sum(ops.mean(losses, axis=1)), None

    def _stepped(self, values, moments, x, labels, masks, going, rate, number):
        _, gradients = self._gradient(values, x, labels, masks)
        after = [
            self.steps.optimizer.moved(*one, rate, number)
            for one in zip(gradients, values, *moments, strict=True)
        ]
        new, *moments = (list(kind) for kind in zip(*after, strict=True))
        stays = [ops.reshape(going, (-1, *[1] * (len(value.shape) - 1))) for value in values]
        new = [ops.where(*one) for one in zip(stays, new, values, strict=True)]
        return new, moments, self.hierarchy.gates(new[:-1], new[-1], masks)

    def _judged(self, values, x, labels, masks):
        return ops.mean(self.steps.model.averaged(labels, self._outputs(values, x, masks)), axis=1)


def gates_of_all(hierarchy) -> list:
    """Return the gates of every domain, of the levels 2 to L, `(n_domains, N_{l-1}, N_l)`."""
    weights = [weight.value for weight in hierarchy.shared]
    return hierarchy.gates(weights, hierarchy.domain_vectors.value, [m.value for m in hierarchy.masks])


def write_masks(hierarchy, space: MaskSpace, domains: np.ndarray, masks: np.ndarray) -> None:
    """Set the masks of some domains `(n,)` to `(n, edges)`."""
    for variable, level in zip(hierarchy.masks, space.levels(masks), strict=True):
        all_of_them = np.array(variable.numpy())
        all_of_them[domains] = level
        variable.assign(all_of_them)
