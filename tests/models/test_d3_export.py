"""D3 in the SavedModel: its layers answer for known and unknown domains, and its state is the training's."""

import numpy as np
import pytest
import tensorflow as tf
from conftest_models import make_inputs, small_model, uncompiled
from conftest_transformed import LOG, dense
from example_artifacts import encode

from models.backend import create_steps
from models.backend.optimizer import RowAdam
from models.export import export


@pytest.mark.parametrize("architecture", ["mmoe", "star"])
def test_the_exported_model_answers_as_the_one_in_memory_and_keeps_its_state(
    architecture, transformed, spec, tmp_path
):
    model = small_model(architecture, spec, plugins=("d3",))
    for weight in model.trainable_variables:
        weight.assign(np.random.default_rng(1).normal(scale=0.3, size=weight.shape))
    model.reached(1.0)
    steps = create_steps(model, RowAdam(0.01))
    batch = {name: array[None] for name, array in make_inputs(40, spec).items()}
    with uncompiled():
        steps.train({**batch, "label": np.ones((1, 40), "float32")})
    export(model, transformed.output, LOG, tmp_path / "model")
    served = tf.saved_model.load(str(tmp_path / "model"))
    state = {variable.name: variable.numpy() for variable in served.weights}
    np.testing.assert_array_equal(state["d3_means/means:0"], model.d3_means.means.numpy())
    assert state["d3_balance/on:0"] == 1 and state["d3_means/means:0"].any()
    rows = transformed.rows["test"][:20]
    rows += [{**row, "channel": "never seen"} for row in rows]
    wanted = {LOG.domain, *LOG.features}
    raw_spec = {key: kind for key, kind in transformed.output.raw_feature_spec().items() if key in wanted}
    examples = tf.constant([encode({key: row[key] for key in wanted}) for row in rows])
    inputs = transformed.output.transform_features_layer()(tf.io.parse_example(examples, raw_spec))
    expected = model.probabilities(model({key: inputs[key] for key in wanted}))
    answer = served.signatures["columns"](**dense(rows))["probability"].numpy()
    np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-6)
    assert np.ptp(answer[20:]) > 1e-4  # the rows of a domain never seen differ by their other fields
