"""AdaSparse: one network, pruned for each domain."""

from typing import Literal

import keras
from keras import ops
from pydantic import Field

from models.architectures.base import MultiDomainModel, flat
from models.layers.mlp import MLP
from models.layers.pruner import DomainPruner
from models.registry import register
from schema.base import Settings


@register(kind="multi-domain", paper="Yang et al., CIKM 2022, section 2")
class AdaSparse(MultiDomainModel):
    """h_l+1 = relu(W_l (pi_l * h_l) + b_l), pi_l from [e_d, h_l]: the domain's features e_d prune the units.

    All domains share W and b; a domain's own network is what its factors pi leave. The regularisation of the
    pruned shares is the mean over the layers; see `DomainPruner` for factors and bounds.
    """

    class Settings(Settings):
        """Widths and pruning.

        Attributes:
            units: hidden layers. dropout: after every hidden layer.
            factors: kind of the factors. beta, epsilon, alpha, alpha_step, alpha_limit: see `DomainPruner`.
            least, most: bounds of the share that is pruned. penalty: weight of the regularisation.
        """

        units: tuple[int, ...] = (256, 128, 64)
        dropout: float = 0.2
        factors: Literal["scaling", "binarization", "fusion"] = "fusion"
        beta: float = Field(2.0, ge=1)
        epsilon: float = Field(0.25, ge=0, lt=0.5)
        alpha: float = Field(1.0, gt=0)
        alpha_step: float = Field(1e-4, ge=0)
        alpha_limit: float = Field(5.0, gt=0)
        least: float = Field(0.15, ge=0, le=1)
        most: float = Field(0.25, ge=0, le=1)
        penalty: float = Field(0.01, ge=0)

    def assemble(self, settings):
        """Make the layers, and a pruner of each one's input."""
        options = settings.model_dump(exclude={"units", "dropout", "penalty"})
        penalty = settings.penalty / (len(settings.units) + 1)
        self.pruners = [DomainPruner(**options, penalty=penalty) for _ in (*settings.units, 1)]
        self.hidden = [self.part("shared", MLP((width,), settings.dropout)) for width in settings.units]
        self.logit = keras.layers.Dense(1)

    def logits(self, fields, domain, training):
        """Prune and map, layer by layer."""
        x, own = flat(fields), flat(self.of_groups(fields, "domain"))
        for pruner, layer in zip(self.pruners, self.hidden, strict=False):
            x = layer(pruner(x, own, training=training), training=training)
        return ops.squeeze(self.logit(self.pruners[-1](x, own, training=training)), 1)
