"""Transformed examples become columns sorted by domain, and batches of them are index arithmetic."""

import numpy as np
import pytest
import tensorflow as tf
from conftest_models import SPEC, make_columns, make_inputs

from models import feeding
from models.columns import join


def write_examples(file, inputs: dict[str, np.ndarray]) -> None:
    with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
        for row in range(len(inputs["label"])):
            example = tf.train.Example()
            for name, values in inputs.items():
                feature = example.features.feature[name]
                kind = feature.float_list if values.dtype == np.float32 else feature.int64_list
                kind.value.extend(np.atleast_1d(values[row]).tolist())
            writer.write(example.SerializeToString())


@pytest.mark.parametrize("block", [3, 64, 1000])
def test_columns_are_the_rows_sorted_by_domain_in_their_order_whatever_the_block(
    tmp_path, monkeypatch, block
):
    monkeypatch.setattr(feeding, "READ_ROWS", block)
    monkeypatch.setattr(feeding, "SORT_ROWS", block)
    inputs = {**make_inputs(200), "label": np.arange(200) % 2}
    write_examples(tmp_path / "a.gz", inputs)
    columns = feeding.load_columns([str(tmp_path / "a.gz")], SPEC, tmp_path / "cache")
    order = np.argsort(inputs["channel"], kind="stable")
    for name, values in inputs.items():
        np.testing.assert_array_equal(columns.arrays[name], values[order])
    np.testing.assert_array_equal(columns.offsets, np.searchsorted(inputs["channel"][order], range(5)))
    assert not list((tmp_path / "cache").glob("*.spool"))


def test_a_split_without_rows_is_none_where_it_may_be_so(tmp_path):
    write_examples(tmp_path / "none.gz", {"label": np.zeros(0)})
    for files in ([], [str(tmp_path / "none.gz")]):
        assert feeding.load_columns_if_any(files, SPEC, tmp_path / "cache") is None
        with pytest.raises(feeding.NoRowsError, match="no rows in"):
            feeding.load_columns(files, SPEC, tmp_path / "cache")
    assert [file.name for file in tmp_path.iterdir()] == ["none.gz"]


def test_joined_columns_hold_the_rows_of_both_by_domain_the_first_ones_first():
    first, second = make_columns(200), make_columns(50, seed=1)
    joined = join(first, second)
    assert joined.rows == 250
    for domain in range(4):
        for name, values in joined.of_domain(domain).items():
            parts = (first.of_domain(domain)[name], second.of_domain(domain)[name])
            np.testing.assert_array_equal(values, np.concatenate(parts))
            assert values.dtype == first.arrays[name].dtype
    np.testing.assert_array_equal(joined.domain_of(np.arange(250)), joined.arrays["channel"])


def test_a_mixed_order_holds_every_row_once():
    columns = make_columns(500)
    order = columns.mixed(np.random.default_rng(0))
    assert sorted(order) == list(range(500)) and list(order) != list(range(500))


def test_batches_of_one_domain_hold_no_other():
    columns = make_columns(500)
    for domain in range(3):
        batch = columns.take(columns.domain_rows(domain), 1)
        assert set(batch["channel"].ravel()) == {domain}


def test_batches_by_share_hold_each_domain_as_often_as_asked():
    columns = make_columns(500)
    rows = columns.by_share(np.array([6.0, 3.0, 1.0, 0.0]), 100_000, np.random.default_rng(0))
    drawn = columns.arrays["channel"][rows]
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 1e5, [0.6, 0.3, 0.1, 0.0], atol=0.01)
    within = np.bincount(rows, minlength=500)[: columns.offsets[1]]
    assert within.min() > 0.5 * within.mean()
    with pytest.raises(ValueError, match="domain 3 has no rows to draw a share of 1 from"):
        columns.by_share(np.array([1.0, 1.0, 1.0, 1.0]), 10, np.random.default_rng(0))
