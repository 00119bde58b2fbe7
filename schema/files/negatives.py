"""Negatives for logs that hold positives only, and a random split, as MAMDR makes both (appendix A.1)."""

import numpy as np
import polars as pl

from schema.readers import SPLIT

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def labelled(positives: pl.DataFrame, ratio: float, random: np.random.Generator) -> pl.DataFrame:
    """Return one domain's positives, then the negatives drawn for them, each with a label and a split.

    A user with p positives gets int(p / ratio) different items of the domain that are none of these, or all
    such items where they are fewer.

    Args:
        positives: `user_id` and `item_id` of the domain, every pair once, and any further columns, which are
            null in the negatives.
        ratio: positives per negative (Equation 25). random: decides everything that is random.

    Returns:
        The columns of `positives`, then `label` (1 or 0) and `split`.
    """
    users, items = (positives[name].unique().sort() for name in ("user_id", "item_id"))
    user, item = (
        positives[name].rank("dense").cast(pl.Int64).to_numpy() - 1 for name in ("user_id", "item_id")
    )
    other_user, other_item = draw(user, item, len(items), ratio, random)
    negatives = pl.DataFrame({"user_id": users.gather(other_user), "item_id": items.gather(other_item)})
    rows = pl.concat([positives, negatives], how="diagonal")
    label = np.repeat([1, 0], [len(user), len(other_user)])
    split = split_within(np.concatenate([user, other_user]) * 2 + label, random)
    return rows.with_columns(pl.Series("label", label), pl.Series(SPLIT, split))


def draw(
    users: np.ndarray, items: np.ndarray, size: int, ratio: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw each user's negatives, uniformly and none twice.

    Args:
        users, items: int64 `(positives,)`, codes from 0; every pair once.
        size: number of items. ratio: positives per negative. random: where the draws come from.

    Returns:
        User and item of every negative, `(negatives,)`, in the order of both.
    """
    taken = np.sort(users * size + items)
    user, first, held = np.unique(taken // size, return_index=True, return_counts=True)
    free = size - held
    wanted = np.minimum((held / ratio).astype(np.int64), free)
    # Of more than half of the free items, the ones left out are drawn: so a draw seldom hits a drawn one.
    inverse = wanted > free - wanted
    drawn = _distinct(np.where(inverse, free - wanted, wanted), free, size, random)
    all_free = np.where(inverse, free, 0)
    others = np.repeat(np.arange(len(user)), all_free) * size + _within(all_free)
    others = np.setdiff1d(others, drawn, assume_unique=True)
    keys = np.sort(np.concatenate([drawn[~inverse[drawn // size]], others]))
    group, rank = keys // size, keys % size
    # The rank counts free items only: step over the positives that stand before the one it means.
    steps = np.repeat(np.arange(len(user)), held) * size + taken % size - _within(held)
    skipped = np.searchsorted(steps, keys, side="right") - first[group]
    return user[group], rank + skipped


def split_within(group: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the split of each row, 60/20/20 within each group.

    The rows of a group are put in random order at equal distances after a random start. So each row has the
    chances of `SHARES`, and a group's counts are off them by less than one row, also where it has only one.

    Args:
        group: int64 `(rows,)`, codes from 0. random: where order and starts come from.

    Returns:
        `train`, `validation` or `test`, `(rows,)`.
    """
    count = np.bincount(group)
    order = np.lexsort([random.random(len(group)), group])
    rank = np.empty(len(group), np.int64)
    rank[order] = _within(count)
    place = (rank + random.random(len(count))[group]) / count[group]
    bounds = np.cumsum(list(SHARES.values()))[:-1]
    return np.array(list(SHARES))[np.searchsorted(bounds, place, side="right")]


def _distinct(count: np.ndarray, free: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Return the sorted keys `group * size + number` of `count` different numbers below `free` per group."""
    keys, missing = np.empty(0, np.int64), count
    while missing.any():
        group = np.repeat(np.arange(len(count)), missing)
        keys = np.unique(np.concatenate([keys, group * size + random.integers(0, free[group])]))
        missing = count - np.bincount(keys // size, minlength=len(count))
    return keys


def _within(count: np.ndarray) -> np.ndarray:
    """Return 0, 1, ... for each group in turn, `(sum of count,)`."""
    return np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
