"""Rows are grouped into blocks of one domain and come back in their order."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.layers.routing import DomainBlocks


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_every_block_holds_rows_of_its_domain_and_all_rows_come_back(domains, size):
    domain = np.array(domains, "int32")
    rows = np.stack([np.arange(1.0, len(domain) + 1), domain], axis=1).astype("float32")
    blocks = DomainBlocks(keras.ops.convert_to_tensor(domain), 7, size)
    grouped = keras.ops.convert_to_numpy(blocks.group(rows))
    held = grouped[..., 0] > 0
    of_block = np.broadcast_to(keras.ops.convert_to_numpy(blocks.domain)[:, None], held.shape)
    np.testing.assert_array_equal(grouped[..., 1][held], of_block[held])
    assert sorted(grouped[..., 0][held]) == sorted(rows[:, 0])
    np.testing.assert_array_equal(blocks.ungroup(grouped), rows)
    assert blocks.size == size * (4 if len(domain) >= 8 * size * len(set(domains)) else 1)
    assert len(grouped) == sum(-(-domains.count(d) // int(blocks.size)) for d in set(domains))


@pytest.mark.parametrize("n_domains", [1, 1000])
def test_the_blocks_are_those_of_the_domains_in_the_batch(n_domains):
    blocks = DomainBlocks(np.zeros(64, "int32"), n_domains, 16)
    assert keras.ops.shape(blocks.domain)[0] == 4
