"""What every learning method is: a way through the domains' batches, epoch by epoch."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from models.backend import create_steps
from models.bad_domains import BadDomains
from models.batches import DomainBatches, chunks, packed
from models.columns import Columns, join
from models.domain_parameters import DomainParameters
from models.pseudo import with_pseudo
from models.settings import ModelSettings
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


class LearningMethod(BadDomains):
    """How parameters move over the domains' batches, for any architecture.

    Optimizer state: one Adam for everything. Unless a method says otherwise, its slots and its step count are
    kept from the first to the last step, across domains, phases and outer steps.

    Args:
        settings: the method's own settings.
        model: a built model. optimizer: of all parameters.
        batch_size: rows per step.
        seed: of everything random; with the epoch's number it decides the order of the rows, so that a
            resumed training goes the same way as an uninterrupted one.
        columns: the training rows, sorted by domain.
        augmented: rows made from training rows, likewise; None where there are none.
        train_on_augmented: whether those are trained on like the others.
        pseudo: rows of dominant domains with pseudo-domains, sorted by those, for models that want them;
            None where there are none.

    Attributes:
        replaces: what other values take the place of weights for, if they do.
        original: the training rows. columns: the rows that are trained on.
        steps: the compiled primitives of the model.
        parameters: those that `prepare` gave the domains, if any.
        outer: outer steps completed in the current epoch. phase: the current phase, from 0.
        skipped: domains left out because their loss was not finite.
    """

    replaces: str | None = None

    class Settings(Settings):
        """A method's own settings; the defaults are the paper's."""

    @classmethod
    def check_model(cls, model: ModelSettings) -> None:
        """Check that the method can train such a model.

        Raises:
            ValueError: it cannot; says why.
        """

    @classmethod
    def check_architecture(cls, name: str, architecture) -> None:
        """Check that the method can move an architecture's weights.

        Args:
            name: of the architecture. architecture: its class, or a model of it.

        Raises:
            ValueError: it cannot; says why.
        """
        if cls.replaces and not architecture.replaceable:
            raise ValueError(
                f"{name} keeps its weights in another library, which {cls.replaces} cannot reach."
            )

    def __init__(
        self,
        settings: Any,
        model,
        optimizer,
        batch_size: int,
        seed: int,
        columns: Columns,
        augmented: Columns | None = None,
        train_on_augmented: bool = False,
        pseudo: Columns | None = None,
    ):
        self.check_architecture(model.name, model)
        self.settings = settings
        self.model = model
        self.original = columns
        self.augmented = augmented
        self.columns = join(columns, augmented) if augmented and train_on_augmented else columns
        if model.wants_pseudo:
            self.columns = with_pseudo(self.columns, pseudo)
        self.batch_size = batch_size
        self.seed = seed
        self.outer = 0
        self.phase = 0
        self.skipped: set[int] = set()
        self._domains = np.flatnonzero(np.diff(self.columns.offsets)).tolist()
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

    def figures(self) -> dict:
        """Return what the method says about the epoch just trained, as plain values for its history."""
        return {}

    def ended(self) -> None:
        """Hear that the training has ended; the model has the weights that are exported."""

    def generator(self, *numbers: int) -> np.random.Generator:
        """Return the random generator of an epoch, or of one part of it."""
        return np.random.default_rng([self.seed, *numbers])

    def domains(self) -> list[int]:
        """Return the domains that have rows, the skipped ones among them."""
        return self._domains

    def known_domains(self) -> list[int]:
        """Return the domains that have rows and a name: those that may get parameters of their own."""
        return [domain for domain in self.domains() if domain < self.model.spec.n_domains]

    def name_of(self, domain: int) -> str:
        """Return a domain's name."""
        return [*self.model.spec.domains, "the unknown domain"][domain]

    def completed(self, outer: int) -> Trained:
        """Note that so many outer steps of this epoch are done; return what `epoch` yields for it."""
        self.outer = outer
        return Trained(0, 0.0, outer=True)

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
        for chunk in self.unskipped_chunks(batches):
            inputs = chunk.take(self.columns)
            if acting is not None:
                name = self.model.spec.domain
                inputs[name] = np.full_like(inputs[name], acting)
            yield self.trained(chunk, self.steps.train(inputs, moved))

    def unskipped_chunks(self, batches: Iterable[DomainBatches]) -> Iterator[DomainBatches]:
        """Yield chunks of batches, without those of domains that are skipped by then."""
        for chunk in packed(batches):
            kept = chunk.without(self.skipped)
            if len(kept.domains):
                yield kept

    def trained(self, chunk: DomainBatches, losses: np.ndarray) -> Trained:
        """Skip the domains of a chunk whose loss is not finite; return what was trained on the others."""
        rows = int(np.count_nonzero(chunk.weights[np.isfinite(losses)]))
        return Trained(rows, self.finite_mean(losses, chunk.domains))

    def train_mixed(self, epoch: int, moved: Sequence[keras.Variable] | None = None) -> Iterator[Trained]:
        """Train on mixed batches of all rows in a random order.

        Once a domain is skipped, its rows are left out, and those of others that shared a batch with them are
        trained on again.

        Args:
            epoch: its number. moved: the variables that move; None for all.
        """
        order = self.unskipped(self.columns.mixed(self.generator(epoch)))
        while len(order):
            done, again = 0, order[:0]
            for rows, steps in chunks(order, self.batch_size):
                done += len(rows)
                losses = self.steps.train(self.columns.take(rows, steps), moved)
                finite = np.isfinite(losses)
                batches = rows.reshape(steps, -1)
                if finite.any():
                    yield Trained(batches[finite].size, float(losses[finite].mean()))
                if not finite.all() and self.find_bad(batches[~finite].ravel()):
                    again = batches[~finite].ravel()
                    break
            order = self.unskipped(np.concatenate([again, order[done:]]))
