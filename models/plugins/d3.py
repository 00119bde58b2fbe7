"""Domain division, modelling and balance (D3)."""

from dataclasses import dataclass
from typing import Any

from keras import ops
from pydantic import Field, model_validator

from models.layers.conditioned import Fused, Transformed
from models.layers.domain_balance import DomainBalance
from models.layers.domain_fusion import DomainFusion
from models.layers.domain_means import DomainMeans
from models.layers.feature_selection import DomainSensitiveFeatureSelection
from models.layers.star import FusedStarTower
from models.layers.transformation import TransformationLayer
from models.plugins.base import MOST, Plugin
from models.registry import register
from schema.base import Settings

REPLACED = {"shared_bottom": "tower", "mmoe": "tower", "m2m": "scenario", "adi": "scenario"}  # by role
FUSED = ("star", "sar_net")  # which have specific and shared parts of their own


@dataclass
class Seen:
    """What is known about the rows that are being computed; None for what the model has not.

    Attributes:
        domain: indices `(batch,)`. fields: x' `(batch, n, dim)`. attention: A `(batch, n, n)`.
        gates: g `(batch, 2)`.
    """

    domain: Any
    fields: Any
    attention: Any
    gates: Any


@register(kind="plug-in", paper="D3 (Jia et al., AAAI 2025), Eq. 6-19")
class D3(Plugin):
    """Generates a layer's weights from a row's fields, fuses them with shared ones, and weighs the losses.

    In Shared-Bottom and MMoE the towers, in M2M the meta attention and tower, in ADI the networks below the
    towers become sigma(x W + b), with W and b of each row's own. STAR and SAR-Net keep their own specific and
    shared parts, which are fused by the row's weights g, and there only Eq. 18 weighs the losses. Whatever
    stands below, as far as the paper names a backbone, stays as it is.
    """

    class Settings(Settings):
        """Parts; without `balance` it is the paper's BM+D2, without `fusion` besides its BM+D1.

        Attributes:
            rank: of generated matrices; None is exact. hidden: see `TransformationLayer`.
            fusion: whether a shared part is fused in (Eq. 11-13). balance: whether losses are weighed.
            begin: share of the training's epochs after which they are, within an epoch if it falls there.
            shift, scale: of both weights, see `DomainBalance`.
        """

        rank: int | None = Field(8, ge=1)
        hidden: int = Field(16, ge=1)
        fusion: bool = True
        balance: bool = True
        begin: float = Field(0.5, ge=0, lt=1)
        shift: float = Field(0.5, ge=0)
        scale: float = Field(1.0, ge=0)

        @model_validator(mode="after")
        def _check_weights(self):
            if self.balance and not self.shift + self.scale:
                raise ValueError("shift and scale are both 0: every row would weigh nothing.")
            return self

    @classmethod
    def check_architecture(cls, architecture, settings):
        """Check that the plug-in knows what to replace, or to fuse, in an architecture."""
        if architecture not in (*REPLACED, *FUSED):
            there = ", ".join((*REPLACED, *FUSED))
            raise ValueError(f"d3 does not fit {architecture}; it fits: {there}.")
        if architecture in FUSED and not settings.fusion:
            raise ValueError(f"of d3, {architecture} takes the fusion: fusion must be true.")

    def __init__(self, settings, model, classifier=None):
        super().__init__(settings, model, classifier)
        names = [field.name for field in model.spec.fields]
        self._fields = [*names, model.spec.domain]
        self._replaces = model.name in REPLACED
        self._seen = None
        self._selection = DomainSensitiveFeatureSelection(name="d3_selection") if self._replaces else None
        self._fusion = DomainFusion(name="d3_fusion") if settings.fusion else None
        self._balance = DomainBalance(settings.shift, settings.scale, name="d3_balance")
        self._means = DomainMeans(model.spec.n_domains + 1, len(self._fields) + 2, name="d3_means")
        self._balance.build()
        self._means.build()
        # Attributes of the model, so that their weights and state are the model's.
        model.d3_selection, model.d3_fusion = self._selection, self._fusion
        model.d3_balance, model.d3_means = self._balance, self._means

    def part(self, role, layer):
        """Put a generated layer, or a fused star network, in the place of one."""
        if role == REPLACED.get(self.model.name):
            if not layer.units:
                raise ValueError(
                    f"d3 takes its width from a hidden layer, of which {self.model.name} has none."
                )
            generated = TransformationLayer(layer.units[0], self.settings.hidden, self.settings.rank)
            return Transformed(generated, self._conditions, self.model.name != "adi", layer.dropout)
        if role == "tower" and self.model.name == "star":
            return Fused(FusedStarTower(layer.n_domains, layer.units, layer.dropout), self._conditions)
        return layer

    def _conditions(self):
        return self._seen.fields, self._seen.gates

    def see(self, inputs, fields):
        """Compute x', A and g of a batch (Eq. 6-8 and 11-12); where there is no attention, x' is x."""
        selected, attention = self._selection(fields) if self._replaces else (fields, None)
        gates = None if self._fusion is None else self._fusion(selected)
        self._seen = Seen(inputs[self.model.spec.domain], selected, attention, gates)

    def fuse(self, specific, shared):
        """Return both representations `(batch, ...)` times their weights (Eq. 13)."""
        weights = ops.split(self._seen.gates, 2, axis=1)
        both = zip(weights, (specific, shared), strict=True)
        return tuple(ops.reshape(g, (-1, *[1] * (len(x.shape) - 1))) * x for g, x in both)

    def weigh(self, losses, inputs):
        """Weigh the losses (Eq. 19), and take the batch into the domains' means."""
        seen = self._seen
        complexity = None if seen.attention is None else self._balance.complexity(seen.attention)
        specificity = None if seen.gates is None else self._balance.specificity(seen.gates)
        self._measure(complexity, specificity)
        weights = [weight for weight in (complexity, specificity) if weight is not None]
        return losses * ops.cast(self._balance(*weights), losses.dtype)

    def _measure(self, complexity, specificity):
        """Remember the weights, and how much attention each field gets on average, by domain."""
        seen = self._seen
        rows, n = ops.shape(seen.fields)[0], len(self._fields)
        nothing = ops.zeros((rows, 1))
        columns = ops.zeros((rows, n)) if seen.attention is None else ops.mean(seen.attention, axis=1)
        weights = [nothing if one is None else ops.expand_dims(one, 1) for one in (complexity, specificity)]
        values = [ops.cast(columns, "float32"), *weights]
        self._means.update(ops.concatenate(values, axis=1), seen.domain)

    def epoch_begins(self):
        """Measure the domains anew: figures are those of an epoch."""
        self._means.restart()

    def reached(self, share):
        """Turn the weights on once `begin` of the training is done."""
        off = self.settings.balance and not self._balance.on.numpy()
        if off and share >= self.settings.begin:
            self._balance.on.assign(1.0)
            return True
        return False

    def figures(self):
        """Return attention by field and both weights of the first `MOST` domains, and whether they are on."""
        means, rows = self._means.means.numpy(), self._means.rows.numpy()[:, 0]
        domains = {}
        for name, row, known in zip(self.model.spec.domains[:MOST], means, rows, strict=False):
            *attention, complexity, specificity = row.tolist() if known else [None] * len(row)
            domains[name] = {
                "complexity": complexity if self._replaces else None,
                "specificity": specificity if self._fusion is not None else None,
                "attention": attention if self._replaces and known else None,
            }
        on = bool(self._balance.on.numpy())
        n_domains = len(self.model.spec.domains)
        return {"d3": {"domains": domains, "n_domains": n_domains, "fields": self._fields, "weights_on": on}}
