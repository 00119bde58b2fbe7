"""Wide & Deep: a linear part beside a deep network."""

from models.architectures.mlp import PlainMLP
from models.registry import register


@register(kind="single-domain", paper="Cheng et al., DLRS 2016, Eq. 3")
class WideDeep(PlainMLP):
    """y = w_wide . x + w_deep . a(x) + b: `mlp` and a linear part, the domain being one more field of both.

    The paper's wide part also takes products of features chosen by hand; no log names any, so ours is linear.
    """

    represents_all = False  # the linear part is beside it

    def assemble(self, settings):
        """Make the deep part, as `mlp` does, and the wide one."""
        super().assemble(settings)
        self.add_linear_term()
