"""Parameters of the domains' own: stored without a copy of the model per domain, applied row by row."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest_models import SPEC, make_columns, make_inputs, small_model
from conftest_transformed import LOG, dense
from example_artifacts import encode

from models import trainer
from models.backend import create_steps
from models.backend.optimizer import RowAdam
from models.domain_parameters import DomainParameters, SpecificSettings, embeddings_of
from models.export import export
from models.feeding import load_columns
from models.layers.specific import MISSING
from models.registry import names
from models.settings import LearningSettings

COLUMNS = make_columns(400)


def parameters_of(model, **settings) -> DomainParameters:
    parameters = DomainParameters(model, SpecificSettings(**settings), COLUMNS.of_domain)
    parameters.bind(create_steps(model, RowAdam(0.01)))
    return parameters


def fill(model, seed=0) -> None:
    """Give every known domain other parameters than the shared ones."""
    rng = np.random.default_rng(seed)
    for stacks in model.domain_parameters.stacks:
        for stack in stacks:
            value = rng.normal(scale=0.5, size=stack.shape)
            value[-1] = 0  # of the unknown domain
            stack.assign(value)
    for layer in embeddings_of(model):
        if layer.specific.pairs:
            layer.specific.table.assign(rng.normal(scale=0.5, size=layer.specific.table.shape))


def one_by_one(model, parameters, inputs) -> np.ndarray:
    """Return the probabilities of each row, with its domain's parameters put into the model by hand."""
    shared = [variable.numpy() for variable in model.domain_parameters.of]
    answers = np.zeros(len(inputs["channel"]), "float32")
    for domain in range(SPEC.n_domains + 1):
        rows = np.flatnonzero(inputs["channel"] == domain)
        added = model.domain_parameters.differences(domain)
        for variable, start, own in zip(model.domain_parameters.of, shared, added, strict=True):
            variable.assign(start + np.asarray(own))
        own = {name: array[rows] for name, array in inputs.items()}
        answers[rows] = np.asarray(model.probabilities(model._outputs(own, training=False)))
    for variable, start in zip(model.domain_parameters.of, shared, strict=True):
        variable.assign(start)
    return answers


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", sorted({*names("architectures")} - {"tfrs_dcn"}))
def test_a_mixed_batch_is_answered_with_each_row_s_own_parameters(name):
    model = small_model(name)
    parameters = parameters_of(model)
    fill(model)
    inputs = make_inputs(40)
    before = np.asarray(model.probabilities(model._outputs(inputs, training=False)))
    answers = np.asarray(model.probabilities(model(inputs)))
    np.testing.assert_allclose(answers, one_by_one(model, parameters, inputs), rtol=1e-5, atol=1e-6)
    known = inputs["channel"] < SPEC.n_domains
    # With a model of its own for each domain, there is nothing to add.
    assert (np.abs(answers - before)[known].max() > 1e-3) == (name != "isolated")
    np.testing.assert_allclose(answers[~known], before[~known], rtol=1e-5, atol=1e-6)


def test_low_rank_differences_are_the_nearest_of_their_rank():
    model = small_model("mlp", units=(32, 32))
    parameters_of(model, rank=3)
    domain_parameters, rng = model.domain_parameters, np.random.default_rng(0)
    differences = [rng.normal(size=variable.shape).astype("float32") for variable in domain_parameters.of]
    domain_parameters.write(keras.ops.convert_to_tensor(1), differences)
    kept = [np.asarray(value) for value in domain_parameters.differences(1)]
    factored = 0
    for stacks, full, value in zip(domain_parameters.stacks, differences, kept, strict=True):
        if len(stacks) == 1:
            np.testing.assert_array_equal(value, full)
            continue
        factored += 1
        u, s, v = np.linalg.svd(full)
        np.testing.assert_allclose(value, (u[:, :3] * s[:3]) @ v[:3], atol=1e-4)
        assert sum(np.prod(stack.shape) for stack in stacks) < 4 * full.size / 2
    assert factored == 2
    assert all(not np.asarray(value).any() for value in domain_parameters.differences(0))


def test_embeddings_of_a_domain_differ_for_the_rows_that_it_touched_only():
    model = small_model("mlp")
    parameters_of(model, embeddings="sparse")
    table = model.embedding.specific
    touched = sum(
        len(np.unique(model.embedding.touched(COLUMNS.of_domain(domain)))) for domain in range(SPEC.n_domains)
    )
    assert table.pairs == touched < SPEC.n_domains * model.embedding._rows
    table.table.assign(np.ones(table.table.shape))
    inputs = make_inputs(300, seed=5)
    rows = model.embedding.touched(inputs)
    added = np.asarray(table(rows, inputs["channel"]))[..., 0]
    for domain in range(SPEC.n_domains + 1):
        own = set()
        if domain < SPEC.n_domains:
            own = set(np.unique(model.embedding.touched(COLUMNS.of_domain(domain))))
        mine = inputs["channel"] == domain
        np.testing.assert_array_equal(added[mine], np.isin(rows[mine], list(own)))
        table.act(domain)  # on all rows
        acting = np.asarray(table(rows, inputs["channel"]))[..., 0]
        np.testing.assert_array_equal(acting, np.isin(rows, list(own)))
    table.act(MISSING)
    np.testing.assert_array_equal(np.asarray(table(rows, inputs["channel"]))[..., 0], added)


def test_swapping_in_moves_one_domain_and_leaves_the_shared_parameters():
    model = small_model("mlp")
    parameters = parameters_of(model, embeddings="sparse")
    fill(model)
    start = [weight.numpy() for weight in model.weights]
    parameters.begin(keep_state=True)
    own = [np.asarray(value).copy() for value in model.domain_parameters.differences(1)]
    rows = model.embedding.specific.offsets
    parameters.load(1)
    assert int(model.embedding.specific.acting.numpy()) == 1
    for variable in parameters.moved:
        variable.assign(variable.numpy() + 1)
    parameters.store(1, 0.25)
    for before, after in zip(own, model.domain_parameters.differences(1), strict=True):
        np.testing.assert_allclose(after, before + 0.25, atol=1e-5)
    changed = {
        weight.path
        for weight, before in zip(model.weights, start, strict=True)
        if not np.array_equal(weight.numpy(), before)
    }
    stacks = {stack.path for stacks in model.domain_parameters.stacks for stack in stacks}
    assert changed == stacks | {model.embedding.specific.table.path}
    table = [weight.path for weight in model.weights].index(model.embedding.specific.table.path)
    moved = model.embedding.specific.table.numpy() - start[table]
    np.testing.assert_allclose(moved[rows[1] : rows[2]], 0.25, atol=1e-5)


def test_a_name_that_no_variable_has_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no variable is named like '\*tower\*'; there are: .*dense"):
        parameters_of(small_model("mlp"), specific="*tower*")


@pytest.mark.parametrize("learning", ["mamdr", "isolated", "maml", "mldg"])
def test_weights_that_cannot_be_replaced_are_refused(learning):
    settings = LearningSettings(method=learning, settings={})
    with pytest.raises(ValueError, match="tfrs_dcn keeps its weights in another library"):
        trainer.create_method(small_model("tfrs_dcn"), COLUMNS, settings)


def test_the_pattern_chooses():
    model = small_model("mlp")
    parameters_of(model, specific="*bias*")
    assert model.domain_parameters.of
    assert all("bias" in variable.path for variable in model.domain_parameters.of)


@pytest.mark.parametrize("learning", ["mamdr", "isolated"])
def test_the_exported_model_applies_them_and_answers_for_domains_never_seen(
    learning, transformed, spec, tmp_path
):
    model = small_model("mmoe", spec)
    columns = load_columns(transformed.files["train"], spec, tmp_path / "columns")
    settings = LearningSettings(method=learning, settings={"k": 2} if learning == "mamdr" else {})
    list(trainer.create_method(model, columns, settings).epoch(0))
    export(model, transformed.output, LOG, tmp_path / "model")
    served = tf.saved_model.load(str(tmp_path / "model"))
    rows = [*transformed.rows["test"][:30], {**transformed.rows["test"][0], LOG.domain: "never seen"}]
    answers = served.signatures["columns"](**dense(rows))["probability"].numpy()
    again = served.signatures["serving_default"](examples=tf.constant([encode(row) for row in rows]))
    np.testing.assert_allclose(answers, again["probability"], rtol=1e-5)
    wanted = {LOG.domain, *LOG.features}
    raw_spec = {name: kind for name, kind in transformed.output.raw_feature_spec().items() if name in wanted}
    examples = tf.io.parse_example([encode(row) for row in rows], raw_spec)
    inputs = transformed.output.transform_features_layer()(examples)
    inputs = {name: inputs[name] for name in wanted} | {LOG.domain: tf.cast(inputs[LOG.domain], tf.int32)}
    here = model.probabilities(model(inputs))
    np.testing.assert_allclose(answers, here, rtol=1e-4, atol=1e-6)
    shared = np.asarray(model.probabilities(model._outputs(inputs, training=False)))
    assert np.abs(answers - shared)[:-1].max() > 1e-4
    if learning == "mamdr":  # isolated training trains the unknown domain's parameters, too
        np.testing.assert_allclose(answers[-1], shared[-1], rtol=1e-4, atol=1e-6)
