"""Each learning method's update rule against NumPy, on a linear model under plain gradient descent."""

import numpy as np
import pytest
from linear_domains import RATE, WIDTH, gradient, hessian, make, run, weights

from models.learning.maml import halves
from models.learning.pcgrad import gram, projected


def assert_weights(method, expected):
    np.testing.assert_allclose(weights(method), expected, rtol=2e-5, atol=1e-6)


def order(method, epoch=0, part=0):
    return method.generator(epoch, part).permutation(method.domains())


def test_joint_is_a_step_on_all_rows():
    method, data, w = make("joint")
    run(method)
    share = np.array([12, 20]) / 32
    assert_weights(method, w - RATE * sum(s * gradient(w, d) for s, d in zip(share, data, strict=True)))


def test_alternate_steps_on_one_domain_after_another():
    method, data, w = make("alternate")
    run(method)
    for d in order(method):
        w = w - RATE * gradient(w, data[d])
    assert_weights(method, w)


def negotiated(w, data, domains, beta):
    inner = w
    for d in domains:
        inner = inner - RATE * gradient(inner, data[d])
    return w + beta * (inner - w)


def test_domain_negotiation_is_algorithm_1():
    method, data, w = make("dn", beta=0.3)
    for epoch in range(3):
        run(method, epoch)
        w = negotiated(w, data, order(method, epoch), 0.3)
    assert_weights(method, w)


def test_domain_negotiation_with_beta_1_is_alternate_training():
    dn, alternate = make("dn", beta=1.0)[0], make("alternate")[0]
    run(dn)
    run(alternate)
    np.testing.assert_array_equal(weights(dn), weights(alternate))


def inner_product(w, data):
    return gradient(w, data[0], False) @ gradient(w, data[1], False)


def test_negotiation_raises_the_gradients_inner_product_where_alternate_training_does_not():
    """MAMDR, Eq. 20-23: beyond a joint step, DN's goes up <g_1, g_2> in the mean over the domains' orders.

    Alternate training keeps to one order: here the first domain, whose loss is more curved, comes first.
    """
    conflict = {"squared": False, "conflict": True, "seed": 39}
    ends = {}
    for seed in range(6):
        method, data, w = make("dn", beta=0.5, order_seed=seed, **conflict)
        run(method)
        ends[tuple(order(method))] = w + (weights(method) - w) / 0.5
    assert inner_product(w, data) < 0 and len(ends) == 2
    joint = inner_product(w - RATE * sum(gradient(w, d, False) for d in data), data)
    assert inner_product(sum(ends.values()) / 2, data) > joint + 5e-4
    for seed in range(6):
        alternate, *_ = make("alternate", order_seed=seed, **conflict)
        if tuple(order(alternate)) == (0, 1):
            run(alternate)
            assert inner_product(weights(alternate), data) < joint - 5e-4
            return
    raise AssertionError("no seed gave the order that is tested.")


def test_reptile_moves_towards_each_domain_in_turn():
    method, data, w = make("reptile", beta=0.4)
    run(method)
    for d in order(method):
        w = w + 0.4 * (-RATE * gradient(w, data[d]))
    assert_weights(method, w)


def test_maml_is_the_gradient_through_the_inner_step():
    method, _data, w = make("maml", alpha=0.2, rows=(12, 20))
    batches = [method.inner_batches(int(d), 0, 0).take(method.columns) for d in order(method)]
    run(method)
    for batch in batches:
        support, query = ((stack(half), half["label"][0]) for half in halves(batch))
        adapted = w - 0.2 * gradient(w, support)
        w = w - RATE * (np.eye(WIDTH) - 0.2 * hessian(support)) @ gradient(adapted, query)
    assert_weights(method, w)


def stack(chunk):
    return np.stack([chunk[f"x{i}"][0] for i in range(WIDTH)], axis=1)


def test_mldg_adds_the_gradient_of_the_other_domains_after_a_step():
    method, _, w = make("mldg", alpha=0.2, beta=0.7)
    random = method.generator(0)
    inner, outer = (method.columns.take(rows, 1) for rows in method.draw(16, random))
    run(method)
    train, test = (stack(inner), inner["label"][0]), (stack(outer), outer["label"][0])
    adapted = w - 0.2 * gradient(w, train)
    through = (np.eye(WIDTH) - 0.2 * hessian(train)) @ gradient(adapted, test)
    assert_weights(method, w - RATE * (gradient(w, train) + 0.7 * through))


def test_mldg_tests_on_other_domains_than_it_trains_on():
    method, *_ = make("mldg", rows=(10, 10, 10))
    for seed in range(5):
        sides = [set(method.columns.domain_of(rows)) for rows in method.draw(40, np.random.default_rng(seed))]
        assert sides[0] and sides[1] and not sides[0] & sides[1]


def test_pcgrad_projects_conflicting_gradients():
    method, data, w = make("pcgrad", seed=2)
    share = np.array([12, 20]) / 32
    g = [s * gradient(w, d) for s, d in zip(share, data, strict=True)]
    assert g[0] @ g[1] < 0, "the example must conflict"
    run(method)
    a = g[0] - (g[0] @ g[1]) / (g[1] @ g[1]) * g[1]
    b = g[1] - (g[1] @ g[0]) / (g[0] @ g[0]) * g[0]
    assert_weights(method, w - RATE * (a + b))


def by_definition(gradients, random):
    """Algorithm 1 of PCGrad, vector by vector."""
    result = [g.copy() for g in gradients]
    for i, g in enumerate(result):
        for j in random.permutation(len(gradients)):
            if j != i and g @ gradients[j] < 0:
                g -= (g @ gradients[j]) / (gradients[j] @ gradients[j]) * gradients[j]
    return np.array(result)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_projection_by_inner_products_is_that_by_vectors(n):
    gradients = np.random.default_rng(n).normal(size=(n, 4))
    parts = [[g[:1], g[1:].reshape(3, 1)] for g in gradients]
    factors = projected(gram(parts), np.random.default_rng(5))
    expected = by_definition(list(gradients), np.random.default_rng(5))
    np.testing.assert_allclose(factors @ gradients, expected, atol=1e-10)


def test_cyclic_takes_a_batch_of_each_domain_in_turn_at_a_slower_shared_rate():
    method, _data, w = make("cyclic")
    assert method.model.embedding.numeric.rate_factor == 0.5  # read by RowAdam; SGD takes the whole rate
    turns = [next(method.turns(0, d, 16)) for d in (0, 1)]
    assert len(turns[0]) == 16 and set(turns[0]) == set(range(12))  # refilled, not dropped
    run(method)
    for turn in turns:  # one round of one batch each
        rows = method.columns.take(turn, 1)
        w = w - RATE * gradient(w, (stack(rows), rows["label"][0]))
    assert_weights(method, w)


def test_mamdr_is_algorithm_3():
    method, data, w = make("mamdr", rows=(12, 20, 8), beta=0.5, gamma=0.25, k=2)
    own = np.zeros((3, WIDTH))
    for epoch in range(2):
        run(method, epoch)
        w = negotiated(w, data, order(method, epoch), 0.5)
        for i in range(3):
            random = method.generator(epoch, 1, i)
            for j in [d for d in random.choice(3, 3, replace=False) if d != i]:
                inner = own[i]
                for d in (j, i):
                    inner = inner - RATE * gradient(w + inner, data[d])
                own[i] = own[i] + 0.25 * (inner - own[i])
                random.integers(1)
    assert_weights(method, w)
    stack = method.model.domain_parameters.stacks[0][0].numpy()[:, :, 0]
    np.testing.assert_allclose(stack[:3], own, rtol=2e-5, atol=1e-6)
    assert not stack[3].any()  # the unknown domain has the shared parameters


def test_finetune_goes_on_from_the_joint_model_in_each_domain():
    from models.backend.optimizer import RowAdam

    method, *_ = make("finetune", optimizer=RowAdam(0.05))
    run(method)
    shared = weights(method).copy()
    assert method.next_phase()
    run(method, 1)
    np.testing.assert_array_equal(weights(method), shared)
    own = method.model.domain_parameters.stacks[0][0].numpy()[:, :, 0]
    assert np.all(np.any(own[:2] != 0, axis=1)) and not own[2].any()
    assert not method.next_phase()


def test_uncertainty_weights_are_learned_with_the_model():
    method, data, w = make("weighted_loss")
    run(method)
    losses = [0.5 * np.mean((x @ w - y) ** 2) for x, y in data]
    share = np.array([12, 20]) / 32
    assert_weights(method, w - RATE * sum(s * gradient(w, d) for s, d in zip(share, data, strict=True)))
    expected = [-RATE * s * (0.5 - loss) for s, loss in zip(share, losses, strict=True)]
    np.testing.assert_allclose(method.steps.objective.log_variance.numpy()[:2], expected, rtol=1e-5)
    s = method.steps.objective.log_variance.numpy()[:2].astype(float)
    before = weights(method).astype(float)
    run(method, 1)
    moved = sum(a * np.exp(-b) * gradient(before, d) for a, b, d in zip(share, s, data, strict=True))
    assert_weights(method, before - RATE * moved)


def test_dynamic_weight_average_follows_how_losses_fall():
    method, data, w = make("dwa", temperature=2.0)
    losses = []
    for epoch in range(3):
        losses.append([0.5 * np.mean((x @ w - y) ** 2) for x, y in data])
        lam = np.ones(2)
        if epoch >= 2:
            ratio = np.array(losses[epoch - 1]) / np.array(losses[epoch - 2])
            lam = 2 * np.exp(ratio / 2) / np.exp(ratio / 2).sum()
        share = lam * np.array([12, 20]) / 32
        w = w - RATE * sum(s * gradient(w, d) for s, d in zip(share, data, strict=True))
        run(method, epoch)
        assert_weights(method, w)


def test_dynamic_task_prioritization_weighs_the_difficult_domain_more():
    method, data, w = make("dtp", gamma=2.0, alpha=0.25)
    kappa = np.full(2, 0.5)
    for epoch in range(2):
        right = [np.mean(np.exp(-0.5 * (x @ w - y) ** 2)) for x, y in data]
        kappa = kappa + 0.25 * (np.array(right) - kappa)
        share = -((1 - kappa) ** 2) * np.log(kappa) * np.array([12, 20]) / 32
        w = w - RATE * sum(s * gradient(w, d) for s, d in zip(share, data, strict=True))
        run(method, epoch)
        assert_weights(method, w)
