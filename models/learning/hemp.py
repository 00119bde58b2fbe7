"""Hierarchical Expert Mask Pruning: every domain finds the experts it uses (AREAD, Algorithm 1)."""

import logging
import time
from typing import Literal

import numpy as np
from pydantic import Field

from models.columns import join
from models.learning.base import LearningMethod
from models.mask_search import BatchedSearch, Schedule, SequentialSearch, Trials, gates_of_all, write_masks
from models.masks import MaskSpace
from models.registry import register
from schema import progress
from schema.base import Settings

AT_ONCE = 256  # domains whose rows are drawn at a time, which bounds the memory of a search


@register(kind="sparse", paper="AREAD (Luo et al., AAAI 2025), section 2.4, Algorithm 1")
class HEMP(LearningMethod):
    """Trains an `aread` model on mixed batches, and every `m` batches looks for each domain's mask anew.

    A search begins with `z` candidates of each domain (`MaskSpace.candidates`), from the mean of its gates
    since the last search; trains each for `k` steps on A_d, the domain's rows and those augmented for it, and
    prunes it after every step; and takes the candidate with the lowest log loss on rows of the domain's own.
    Everything else is then as it was before the search, bit for bit.

    Where the paper is silent: all candidates of a domain see the same rows; the initial share `s0` shrinks by
    `decay` with each search, down to `s`, for pruning `alpha` of the edges `k` times in one search would
    never lead from 0.7 to 0.4; the mean of the gates is taken over compiled calls. The paper trains all of
    Theta in a search; with `searched: experts` only what a mask chooses among moves, and all candidates and
    domains are searched side by side (`BatchedSearch`); `all` is the paper's loop, D x z x k steps.

    A domain without rows keeps all experts, and one whose candidates have no finite loss the mask it had.

    Optimizer state: kept from the first to the last step. Candidates begin with it, and leave no trace.
    """

    class Settings(Settings):
        """The names are those of Algorithm 1.

        Attributes:
            warm_up: batches before the first search. m: batches between searches.
            z: candidates. k: training steps of each. rows: of a step; None takes `learning.batch_size`.
            s0: share of edges that a candidate begins with. decay: of s0, per search.
            s: share of edges at which a candidate is done. alpha: share pruned after each step.
            flip: how randomly a candidate begins. lr_u: learning rate of the candidates.
            searched: what moves in a search.
            augmented: whether A_d holds the rows of the counterfactual augmenter, where there are any.
        """

        warm_up: int = Field(100, ge=0)
        m: int = Field(2000, ge=1)
        z: int = Field(10, ge=1)
        k: int = Field(5, ge=1)
        rows: int | None = Field(None, ge=1)
        s0: float = Field(0.7, gt=0, le=1)
        decay: float = Field(0.95, gt=0, le=1)
        s: float = Field(0.4, gt=0, le=1)
        alpha: float = Field(0.05, gt=0, lt=1)
        flip: float = Field(0.2, ge=0)
        lr_u: float = Field(0.01, gt=0)
        searched: Literal["experts", "all"] = "experts"
        augmented: bool = True

    @classmethod
    def check_model(cls, model):
        """Check that the model has masks, one for each domain; see `LearningMethod.check_model`."""
        if model.architecture != "aread":
            raise ValueError(f"hemp looks for the masks of aread; {model.architecture} has none.")
        if model.domain_groups:
            raise ValueError("hemp gives every domain a mask of its own: set model.domain_groups to 0.")

    def prepare(self, model):
        """Begin to remember the gates."""
        self.space = MaskSpace(model.experts.n_experts)
        self.trained = self.searches = self.calls = 0
        self.due = self.settings.warm_up  # batches trained when the next search begins
        self._gate_sum = np.zeros((model.n_domains, self.space.edges))
        self._done: list[dict] = []
        self._begun_with: dict[str, dict] = {}
        return None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        extra = self.augmented if self.settings.augmented else None
        self._rows = self.original if extra is None else join(self.original, extra)
        form = BatchedSearch if self.settings.searched == "experts" else SequentialSearch
        self._search = form(self.steps, self._rows)
        self._gates = self.steps.compiled(lambda: gates_of_all(self.model.experts))

    def epoch(self, epoch):
        """Train one epoch; see `LearningMethod.epoch`."""
        self._done = []
        self._begun_with = {} if epoch else self._sparse_masks()  # which a warm start may have brought
        for trained in self.train_mixed(epoch):
            yield trained
            self.trained += -(-trained.rows // self.batch_size)
            self._gate_sum += self.space.flat(self._gates())
            self.calls += 1
            if self.trained >= self.due:
                self.search()

    def search(self) -> None:
        """Give every domain the best of its candidates."""
        started, settings = time.monotonic(), self.settings
        random = self.generator(self.searches, 1)
        own = np.diff(self.original.offsets)
        domains = np.array([d for d in self.known_domains() if own[d] and d not in self.skipped])
        gates = self._gate_sum[domains] / self.calls
        s0 = max(settings.s, settings.s0 * settings.decay**self.searches)
        candidates = self.space.candidates(gates, settings.z, s0, settings.flip, random)
        schedule = Schedule(settings.s, settings.alpha, settings.lr_u)
        parts = [slice(first, first + AT_ONCE) for first in range(0, len(domains), AT_ONCE)]
        done = [
            self._search.run(self._trials(domains[part], random), candidates[part], schedule)
            for part in parts
        ]
        masks, losses = (np.concatenate(results) for results in zip(*done, strict=True))
        losses = np.where(np.isfinite(losses), losses, np.inf)
        best, which = losses.argmin(axis=1), np.arange(len(domains))
        found = np.isfinite(losses[which, best])
        write_masks(self.model.experts, self.space, domains[found], masks[which, best][found])
        self.model.masks_in_use.assign(True)
        self._note(domains, losses, best, time.monotonic() - started)
        self.searches += 1
        self.due = self.trained + settings.m
        self.calls = 0
        self._gate_sum[:] = 0

    def _trials(self, domains: np.ndarray, random: np.random.Generator) -> Trials:
        """Draw the rows that some domains are tried on."""
        rows = self.settings.rows or self.batch_size
        first, size = self._rows.offsets[domains], np.diff(self._rows.offsets)[domains]
        train = first + (random.random((self.settings.k, rows, len(domains))) * size).astype(int)
        own = np.diff(self.original.offsets)[domains]  # which come first among the rows of a domain
        judge = [np.resize(random.permutation(n), rows) for n in own]
        return Trials(domains, train.swapaxes(1, 2), first[:, None] + judge)

    def _note(self, domains: np.ndarray, losses: np.ndarray, best: np.ndarray, seconds: float) -> None:
        masks = self.space.flat([mask.numpy() for mask in self.model.experts.masks])[domains]
        about = {
            self.name_of(domain): {
                "chosen": _plain(own[b]),
                "others": [_plain(loss) for loss in np.delete(own, b)],
                **self._described(mask),
            }
            for domain, own, b, mask in zip(domains, losses, best, masks, strict=True)
        }
        self._done.append({"step": self.trained, "seconds": round(seconds, 3), "domains": about})

    def _sparse_masks(self) -> dict[str, dict]:
        """Return the masks of the domains that do not use all experts."""
        masks = self.space.flat([mask.numpy() for mask in self.model.experts.masks])
        some = np.flatnonzero(~masks.all(axis=1))
        return {self.name_of(domain): self._described(masks[domain]) for domain in some}

    def _described(self, mask: np.ndarray) -> dict:
        density = round(float(self.space.density(mask[None])[0]), 4)
        return {"density": density, "mask": "".join("01"[edge] for edge in mask.astype(int))}

    def figures(self):
        """Return the searches of the epoch: when, how long, and for each domain its mask and its losses.

        Those of the first epoch say, too, which masks the training began with, if it began with any.
        """
        begun = {"begun_with": self._begun_with} if self._begun_with else {}
        return {"n_experts": list(self.model.experts.n_experts), "searches": self._done, **begun}

    def ended(self):
        """Warn of a model that no search has made, or none of this training."""
        warm_up = f"learning.settings.warm_up is {self.settings.warm_up:,}: set it lower."
        if not self.searches:
            warning = (
                f"hemp: no search took place: the training ended after {self.trained:,} batches; {warm_up}"
            )
        elif not self.model.masks_in_use.numpy():
            warning = (
                f"hemp: the exported epoch is before the first search: all experts are in use; {warm_up}"
            )
        else:
            return
        logging.warning(warning)
        progress.report("Trainer", warning=warning)

    def state(self):
        """Return what `LearningMethod.state` does, and where the searches stand."""
        counts = np.array([self.trained, self.due, self.searches, self.calls])
        return [*super().state(), counts, self._gate_sum.copy()]

    def load_state(self, state):
        """Take back what `state` returned."""
        *others, counts, self._gate_sum = state
        super().load_state(others)
        self.trained, self.due, self.searches, self.calls = map(int, counts)


def _plain(loss: float) -> float | None:
    return round(float(loss), 6) if np.isfinite(loss) else None
