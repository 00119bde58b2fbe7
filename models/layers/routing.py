"""Groups the rows of a batch by domain, so that a product with weights per domain is done once per group."""

import keras
from keras import ops


class DomainBlocks:
    """The rows of a batch in blocks of one domain each.

    A domain with many rows has several blocks; the last one of each is padded with zeros. The work is that of
    the domains in the batch, however many there are in all.

    Args:
        domain: index of each row's domain `(batch,)`.
        n_domains: number of domains.
        size: rows of a block at least; four times as many if the domains of the batch fill such blocks, for
            then the weights are copied less often and little is padded.

    Attributes:
        domain: index of each block's domain `(blocks,)`.
        size: rows of a block.
    """

    def __init__(self, domain, n_domains: int, size: int):
        rows = ops.shape(domain)[0]
        every = ops.arange(rows)
        order = ops.argsort(domain)
        sorted_domain = ops.take(domain, order)
        counts = ops.segment_sum(ops.ones_like(domain), domain, num_segments=n_domains)
        self.size = size = _grown(size, rows, n_domains, counts)
        blocks = (counts + size - 1) // size
        block_ends = ops.cumsum(blocks)
        first_row, first_block = ops.cumsum(counts) - counts, block_ends - blocks
        place = every - ops.take(first_row, sorted_domain) + size * ops.take(first_block, sorted_domain)
        self._place = ops.scatter(ops.expand_dims(order, 1), place, (rows,))
        self._count = _size_or_bound(block_ends[-1], rows // size + min_of(rows, n_domains))
        # A block beyond the last one, where their number is a bound, takes the last domain and holds no row.
        found = ops.searchsorted(block_ends, ops.arange(self._count, dtype=block_ends.dtype), side="right")
        self.domain = ops.minimum(ops.cast(found, "int32"), n_domains - 1)

    def group(self, x):
        """Put rows `(batch, width)` into their blocks, `(blocks, size, width)`."""
        width = x.shape[-1]
        flat = ops.scatter(ops.expand_dims(self._place, 1), x, (self._count * self.size, width))
        return ops.reshape(flat, (-1, self.size, width))

    def ungroup(self, blocks):
        """Take rows `(batch, width)` back out of blocks `(blocks, size, width)`."""
        return ops.take(ops.reshape(blocks, (-1, blocks.shape[-1])), self._place, axis=0)


def _grown(size: int, rows, n_domains: int, counts):
    """Return four times the size where the domains have twice as many rows as that, on average."""
    if keras.backend.backend() == "jax":  # where shapes must be known beforehand
        return size * 4 if rows >= 8 * size * min(rows, n_domains) else size
    present = ops.sum(ops.cast(counts > 0, "int32"))
    return ops.where(rows >= 8 * size * present, size * 4, size)


def _size_or_bound(needed, bound):
    """Return the number of blocks needed, or the most there may be where shapes must be known beforehand."""
    return bound if keras.backend.backend() == "jax" else needed


def min_of(rows, n_domains: int):
    """Return the smaller of the batch's rows, which TensorFlow knows only when it runs, and the domains."""
    return min(rows, n_domains) if isinstance(rows, int) else ops.minimum(rows, n_domains)
