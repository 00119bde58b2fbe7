"""What every learning method is: a way through the domains' batches, epoch by epoch."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from pydantic import Field

from models.backend import create_steps
from models.backend.base import check
from models.batches import DomainBatches, domain_batches, packed
from models.columns import Columns
from models.domain_parameters import DomainParameters
from schema.base import Settings


class Trained(NamedTuple):
    """What one compiled call, or an outer step, has done.

    Attributes:
        rows: rows trained on. loss: their mean loss.
        outer: whether an outer step has just been completed; a killed training can go on from here.
    """

    rows: int
    loss: float
    outer: bool = False


class InnerLoop(Settings):
    """Settings of methods with an outer and an inner loop.

    Attributes:
        inner_passes: share of each domain's rows that an inner loop goes through; with 1, as in the paper,
            there is one outer step per epoch, with 0.1 there are ten.
        inner_steps: instead, a fixed number of batches of each domain per inner loop.
    """

    inner_passes: float = Field(1.0, gt=0, le=1)
    inner_steps: int | None = Field(None, ge=1)


class LearningMethod:
    """How parameters move over the domains' batches, for any architecture.

    Optimizer state: one Adam for everything. Unless a method says otherwise, its slots and its step count are
    kept from the first to the last step, across domains, phases and outer steps.

    Args:
        settings: the method's own settings.
        model: a built model. optimizer: of all parameters.
        columns: the training rows, sorted by domain.
        batch_size: rows per step.
        seed: of everything random; with the epoch's number it decides the order of the rows, so that a
            resumed training goes the same way as an uninterrupted one.

    Attributes:
        steps: the compiled primitives of the model.
        parameters: those that `prepare` gave the domains, if any.
        outer: outer steps completed in the current epoch. phase: the current phase, from 0.
        skipped: domains left out because their loss was not finite.
    """

    class Settings(Settings):
        """A method's own settings; the defaults are the paper's."""

    def __init__(self, settings: Any, model, optimizer, columns: Columns, batch_size: int, seed: int):
        self.settings = settings
        self.model = model
        self.columns = columns
        self.batch_size = batch_size
        self.seed = seed
        self.outer = 0
        self.phase = 0
        self.skipped: set[int] = set()
        self.parameters: DomainParameters | None = None
        self.steps = create_steps(model, optimizer, self.prepare(model))
        if self.parameters:
            self.parameters.bind(self.steps)

    def prepare(self, model) -> keras.layers.Layer | None:
        """Add to the model what the method needs, and return its objective if it is not the mean loss."""
        return None

    def epoch(self, epoch: int) -> Iterator[Trained]:
        """Train one epoch, or what is left of it.

        Args:
            epoch: its number, from 0.

        Yields:
            After every compiled call and every outer step, what was done.
        """
        raise NotImplementedError

    def steps_per_epoch(self) -> int:
        """Return about how many optimizer steps one epoch takes, for the progress shown."""
        return -(-self.columns.rows // self.batch_size)

    def next_phase(self) -> bool:
        """Go on to the next phase after the best epoch of this one is restored; False if there is none."""
        return False

    def state(self) -> list[np.ndarray]:
        """Return what the method itself remembers, apart from the model's state."""
        return [np.array([self.phase, self.outer]), np.array(sorted(self.skipped), dtype="int64")]

    def load_state(self, state: list[np.ndarray]) -> None:
        """Take back what `state` returned."""
        self.phase, self.outer = (int(number) for number in state[0])
        self.skipped = {int(domain) for domain in state[1]}

    def generator(self, *numbers: int) -> np.random.Generator:
        """Return the random generator of an epoch, or of one part of it."""
        return np.random.default_rng([self.seed, *numbers])

    def domains(self) -> list[int]:
        """Return the domains that have rows, the skipped ones among them."""
        return np.flatnonzero(np.diff(self.columns.offsets)).tolist()

    def name_of(self, domain: int) -> str:
        """Return a domain's name."""
        return [*self.model.spec.domains, "the unknown domain"][domain]

    def rounds(self) -> int:
        """Return the number of outer steps per epoch, from the settings of the inner loop."""
        if self.settings.inner_steps is None:
            return max(1, round(1 / self.settings.inner_passes))
        rows = len(self.domains()) * self.settings.inner_steps * self.batch_size
        return max(1, round(self.columns.rows / max(rows, 1)))

    def inner_batches(self, domain: int, epoch: int, part: int, *numbers: int) -> DomainBatches:
        """Return a domain's batches of one inner loop; none if it is skipped.

        Args:
            domain: its index. epoch: number of the epoch. part: number of the outer step in it; the parts of
                an epoch share the domain's rows out, each row once (with `inner_steps`, in turn).
            numbers: tell apart several inner loops on a domain in one epoch.
        """
        rows = self.columns.domain_rows(domain)[: 0 if domain in self.skipped else None]
        rows = self.generator(epoch, domain, *numbers).permutation(rows)
        if self.settings.inner_steps is None:
            rows = np.array_split(rows, self.rounds())[part]  # none, in a domain with fewer rows than parts
        else:
            count = self.settings.inner_steps * self.batch_size
            if len(rows) > count:
                rows = np.take(rows, np.arange(part * count, (part + 1) * count), mode="wrap")
        return domain_batches(domain, rows, self.batch_size)

    def train_on(
        self,
        batches: Iterable[DomainBatches],
        moved: Sequence[keras.Variable] | None = None,
        acting: int | None = None,
    ) -> Iterator[Trained]:
        """Train on batches of one domain each, in their order.

        A domain whose loss is not finite is skipped from then on and named; the others go on.

        Args:
            batches: of each domain. moved: the variables that move; None for all.
            acting: the domain that the rows are said to be of; None leaves them theirs.
        """
        for chunk in packed(batches):
            inputs = chunk.take(self.columns)
            if acting is not None:
                name = self.model.spec.domain
                inputs[name] = np.full_like(inputs[name], acting)
            losses = self.steps.train(inputs, moved)
            yield Trained(chunk.count, self.finite_mean(losses, chunk.domains))

    def mixed(self, epoch: int) -> np.ndarray:
        """Return the numbers of all rows in a random order, those of skipped domains left out."""
        order = self.columns.mixed(self.generator(epoch))
        if self.skipped:
            order = order[~np.isin(self.columns.domain_of(order), list(self.skipped))]
        return order

    def mixed_mean(self, losses: np.ndarray, rows: np.ndarray) -> float:
        """Return the mean loss of a chunk of mixed batches, and skip the domains whose loss is not finite.

        Args:
            losses: of each batch `(steps,)`. rows: row numbers of the batches `(steps, batch)`.

        Raises:
            NonFiniteLossError: most domains of a batch have no finite loss: it is not their rows.
        """
        for batch in rows[~np.isfinite(losses)]:
            domain_of = self.columns.domain_of(batch)
            present = np.unique(domain_of)
            own = [domain_batches(int(d), batch[domain_of == d], len(batch)) for d in present]
            each = [self.steps.gradients(one.first(self.columns))[0] for one in own]
            if np.isfinite(each).mean() < 0.5:
                check(losses)
            self.finite_mean(np.array(each), present)
        finite = losses[np.isfinite(losses)]
        return float(finite.mean()) if len(finite) else float("nan")

    def finite_mean(self, losses: np.ndarray, domains: np.ndarray) -> float:
        """Return the mean of a chunk's finite losses, and skip the domains of the others."""
        finite = np.isfinite(losses)
        for domain in {int(d) for d in domains[~finite]} - self.skipped:
            self.skipped.add(domain)
            warnings.warn(
                f"the loss of {self.name_of(domain)!r} became NaN or infinite: the domain is left out of the "
                "training from here on. Look for extreme numeric values in its rows.",
                RuntimeWarning,
                stacklevel=2,
            )
        return float(losses[finite].mean()) if finite.any() else float("nan")
