"""Drawn negatives: never a positive, never twice, as many as the ratio says; and the split within groups."""

from collections import Counter

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from schema.files.negatives import draw, labelled, split_within

PAIRS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 11)), min_size=1)
RATIO = st.floats(0.05, 2)
SEED = st.integers(0, 9)


def frame(pairs) -> pl.DataFrame:
    users, items = zip(*sorted(pairs), strict=True)
    return pl.DataFrame({"user_id": [f"u{u}" for u in users], "item_id": [f"i{i:02}" for i in items]})


@given(pairs=PAIRS, ratio=RATIO, seed=SEED)
def test_negatives_are_other_items_of_the_domain_as_many_as_the_ratio_says(pairs, ratio, seed):
    positives = frame(pairs).with_columns(line=pl.int_range(pl.len()))
    rows = labelled(positives, ratio, np.random.default_rng(seed))
    assert rows.columns == ["user_id", "item_id", "line", "label", "split"]
    assert rows.filter(pl.col("label") == 1).select("user_id", "item_id", "line").equals(positives)
    negatives = rows.filter(pl.col("label") == 0)
    assert negatives["line"].null_count() == len(negatives)
    drawn = list(negatives.select("user_id", "item_id").iter_rows())
    assert len(set(drawn)) == len(drawn)
    assert not set(drawn) & set(positives.select("user_id", "item_id").iter_rows())
    assert set(negatives["item_id"]) <= set(positives["item_id"])
    items, held = positives["item_id"].n_unique(), Counter(positives["user_id"])
    wanted = {user: min(int(count / ratio), items - count) for user, count in held.items()}
    assert Counter(negatives["user_id"]) == Counter(wanted)


@given(pairs=PAIRS, ratio=RATIO, seed=SEED)
def test_the_same_seed_draws_the_same_and_the_order_of_positives_does_not_matter(pairs, ratio, seed):
    rows = labelled(frame(pairs), ratio, np.random.default_rng(seed))
    assert rows.equals(labelled(frame(pairs), ratio, np.random.default_rng(seed)))
    users, items = np.array(sorted(pairs)).T
    codes = np.unique(users, return_inverse=True)[1], np.unique(items, return_inverse=True)[1]
    there = draw(*codes, 12, ratio, np.random.default_rng(seed))
    back = draw(codes[0][::-1], codes[1][::-1], 12, ratio, np.random.default_rng(seed))
    assert all(map(np.array_equal, there, back))


def test_every_set_of_free_items_is_as_likely():
    # 3 of 5 free items are drawn by leaving 2 out, 2 of 5 directly: 10 sets each.
    for held, ratio in ((1, 0.3), (1, 0.4)):
        users = np.repeat(np.arange(20_000), held)
        items = np.full(len(users), 2)
        _, drawn = draw(users, items, 6, ratio, np.random.default_rng(0))
        sets = Counter(map(tuple, drawn.reshape(20_000, -1)))
        assert len(sets) == 10 and all(1800 < count < 2200 for count in sets.values())


def test_other_seeds_draw_others():
    pairs = {(user, item) for user in range(30) for item in range(user % 7 + 1)}
    assert not labelled(frame(pairs), 0.5, np.random.default_rng(0)).equals(
        labelled(frame(pairs), 0.5, np.random.default_rng(1))
    )


@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=8), seed=SEED)
def test_a_groups_splits_are_off_the_shares_by_less_than_a_row(sizes, seed):
    group = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    split = split_within(group, np.random.default_rng(seed))
    for code, size in enumerate(sizes):
        counts = Counter(split[group == code])
        for name, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
            assert abs(counts[name] - share * size) < 1


def test_rows_of_one_row_groups_fall_into_the_splits_by_their_shares():
    counts = Counter(split_within(np.arange(50_000), np.random.default_rng(0)))
    for name, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        assert abs(counts[name] / 50_000 - share) < 0.01


def test_the_place_in_a_group_does_not_decide_the_split():
    split = split_within(np.repeat(np.arange(10_000), 5), np.random.default_rng(0)).reshape(10_000, 5)
    for place in range(5):
        assert abs((split[:, place] == "train").mean() - 0.6) < 0.02
