"""Choosing the domains of a large log by size, as AREAD's protocol for Ali-CCP does, in bounded memory."""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from schema.files.raw import Seen
from schema.files.reading import FileError

USER, ITEM, DOMAIN = range(3)
CHUNK_ROWS = 1_000_000
LEAST_ROWS = 15  # of a user, of an item
LEAST_MEMBERS = 75  # users of a domain, items of a domain
MAJOR, MINOR = 5, 25  # domains taken from the largest twentieth, from the others


@dataclass(frozen=True)
class Selection:
    """Which rows of a log are kept.

    Attributes:
        users, items: ids of those that are kept, ascending.
        domains: ids of those that are kept, the largest first.
    """

    users: np.ndarray
    items: np.ndarray
    domains: np.ndarray

    def numbers(self, triples: np.ndarray) -> np.ndarray:
        """Return the number of each row's domain, from 1 for the largest; 0 for a row that is not kept.

        Args:
            triples: user, item and domain id of each row, `(rows, 3)`.
        """
        ascending = np.argsort(self.domains)
        place = _places(self.domains[ascending], triples[:, DOMAIN])
        number = np.where(place < 0, 0, ascending[place] + 1)
        return np.where(_kept(triples, self.users, self.items), number, 0)


def select(blocks: Iterable[np.ndarray]) -> Selection:
    """Choose domains of every size among those with many frequent users and items.

    Users and items with fewer than 15 rows in the whole log go, once and both together; then domains with
    fewer than 75 of the users or items that are left. Of the others, by number of rows, 5 evenly spaced ones
    of the largest twentieth and 25 of the rest are taken, fewer where there are fewer; equal sizes go by id.
    (AREAD, section 3.1, says no more than that item categories are the domains; the numbers are those of its
    authors' preprocessing.)

    Args:
        blocks: user, item and domain id of each row, int32 `(rows, 3)`; read once, then kept in a temporary
            file of 12 bytes a row.

    Raises:
        FileError: no domain is left.
    """
    with tempfile.TemporaryFile() as file:
        for block in blocks:
            file.write(np.ascontiguousarray(block, np.int32).tobytes())
        users, items = (_frequent(_chunks(file), column) for column in (USER, ITEM))
        sizes = _Counts()
        for chunk in _chunks(file):
            sizes.add(chunk[_kept(chunk, users, items), DOMAIN])
        domains = sizes.ids
        large = np.ones(len(domains), bool)
        for column in (USER, ITEM):
            kept = (chunk[_kept(chunk, users, items)] for chunk in _chunks(file))
            large &= _members(kept, domains, column) >= LEAST_MEMBERS
    if not large.any():
        raise FileError(
            f"no domain has {LEAST_MEMBERS} users and {LEAST_MEMBERS} items with {LEAST_ROWS} rows each:"
            " are these the whole files?"
        )
    ordered = domains[large][np.argsort(-sizes.counts[large], kind="stable")]
    twentieth = len(ordered) // 20
    chosen = [_spaced(ordered[:twentieth], MAJOR), _spaced(ordered[twentieth:], MINOR)]
    return Selection(users, items, np.concatenate(chosen))


class _Counts:
    """How often each id came, ascending by id."""

    def __init__(self):
        self.ids, self.counts = np.empty(0, np.int32), np.empty(0, np.int64)

    def add(self, ids: np.ndarray) -> None:
        new, counts = np.unique(ids, return_counts=True)
        self.ids, place = np.unique(np.concatenate([self.ids, new]), return_inverse=True)
        self.counts = np.bincount(place, np.concatenate([self.counts, counts])).astype(np.int64)


def _chunks(file) -> Iterator[np.ndarray]:
    file.seek(0)
    while len(content := file.read(CHUNK_ROWS * 3 * 4)):
        yield np.frombuffer(content, np.int32).reshape(-1, 3)


def _frequent(chunks: Iterable[np.ndarray], column: int) -> np.ndarray:
    rows = _Counts()
    for chunk in chunks:
        rows.add(chunk[:, column])
    return rows.ids[rows.counts >= LEAST_ROWS]


def _members(chunks: Iterable[np.ndarray], domains: np.ndarray, column: int) -> np.ndarray:
    """Count the different users or items of each domain, no further than to `LEAST_MEMBERS` and a chunk."""
    members, seen = np.zeros(len(domains), np.int64), Seen()
    for chunk in chunks:
        domain = np.searchsorted(domains, chunk[:, DOMAIN])
        wanted = members[domain] < LEAST_MEMBERS
        domain = domain[wanted]
        pairs = domain.astype(np.uint64) << np.uint64(32) | chunk[wanted, column].astype(np.uint64)
        members += np.bincount(domain[~seen.again(pairs)], minlength=len(domains))
    return members


def _kept(triples: np.ndarray, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    return (_places(users, triples[:, USER]) >= 0) & (_places(items, triples[:, ITEM]) >= 0)


def _places(ascending: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the place of each id in an ascending array, -1 where it is not there."""
    if not len(ascending):
        return np.full(len(ids), -1)
    place = np.minimum(np.searchsorted(ascending, ids), len(ascending) - 1)
    return np.where(ascending[place] == ids, place, -1)


def _spaced(ordered: np.ndarray, most: int) -> np.ndarray:
    return ordered[:: max(1, len(ordered) // most)][:most]
