"""Each learning method's update rule against NumPy: a quadratic, and a logistic regression in conflict."""

import numpy as np
import pytest
from linear_domains import (
    RATE,
    WIDTH,
    Adam,
    Biased,
    Descent,
    gradient,
    hessian,
    losses,
    make,
    run,
    weights,
)

from models.learning.maml import halves
from models.learning.pcgrad import gram, projected

both_losses = pytest.mark.parametrize("squared", [True, False], ids=["quadratic", "logistic"])
# Under Adam the same rules hold if slots and count of steps are kept from the first to the last step.
every_setting = pytest.mark.parametrize(
    ("squared", "optimizer"),
    [(True, Descent), (False, Descent), (True, Adam)],
    ids=["quadratic", "logistic", "quadratic, Adam"],
)
# Adam divides by roots of squares, in 32 bits.
TOLERANCE = {Descent: {"rtol": 2e-5, "atol": 1e-6}, Adam: {"rtol": 1e-4, "atol": 1e-5}}


def assert_weights(method, expected, optimizer=Descent):
    np.testing.assert_allclose(weights(method), expected, **TOLERANCE[optimizer])


def order(method, epoch=0, part=0):
    return method.generator(epoch, part).permutation(method.domains())


@every_setting
def test_joint_is_a_step_on_all_rows(squared, optimizer):
    method, data, w = make("joint", squared=squared, descent=optimizer())
    share, descent = np.array([12, 20]) / 32, optimizer()
    for epoch in range(2):
        run(method, epoch)
        w = descent.step(w, mixed(share, w, data, squared))
    assert_weights(method, w, optimizer)


@every_setting
def test_alternate_steps_on_one_domain_after_another(squared, optimizer):
    method, data, w = make("alternate", squared=squared, descent=optimizer())
    descent = optimizer()
    for epoch in range(2):
        run(method, epoch)
        for d in order(method, epoch):
            w = descent.step(w, gradient(w, data[d], squared))
    assert_weights(method, w, optimizer)


def negotiated(w, data, domains, beta, descent, squared=True):
    inner = w
    for d in domains:
        inner = descent.step(inner, gradient(inner, data[d], squared))
    return w + beta * (inner - w)


@every_setting
def test_domain_negotiation_is_algorithm_1(squared, optimizer):
    method, data, w = make("dn", squared=squared, descent=optimizer(), beta=0.3)
    descent = optimizer()
    for epoch in range(3):
        run(method, epoch)
        w = negotiated(w, data, order(method, epoch), 0.3, descent, squared)
    assert_weights(method, w, optimizer)


def test_domain_negotiation_with_beta_1_is_alternate_training():
    dn, alternate = make("dn", beta=1.0)[0], make("alternate")[0]
    run(dn)
    run(alternate)
    np.testing.assert_array_equal(weights(dn), weights(alternate))


def inner_product(w, data):
    return gradient(w, data[0], False) @ gradient(w, data[1], False)


def test_negotiation_raises_the_gradients_inner_product_where_alternate_training_does_not():
    """MAMDR, Eq. 20-23: inner loops in random orders go up <g_1, g_2> in the mean, and DN takes that mean.

    Alternate training goes all the way in each order. After as many steps in the same orders it stands lower
    in the mean, and in its worst order below joint training, which DN is above in all.
    """
    rate, epochs, ends = 0.5, 20, {"dn": [], "alternate": []}
    for name, own in (("dn", {"beta": 0.5}), ("alternate", {})):
        method, data, w = make(name, squared=False, seed=39, descent=Descent(rate), **own)
        for method.seed in range(6):
            method.model.embedding.numeric.assign(w[:, None])
            for epoch in range(epochs):
                run(method, epoch)
            ends[name].append(inner_product(weights(method), data))
    joint = w
    for _ in range(epochs):
        joint = joint - rate * sum(gradient(joint, d, False) for d in data)
    assert inner_product(w, data) < inner_product(joint, data) < min(ends["dn"])
    assert min(ends["alternate"]) < inner_product(joint, data)
    assert np.mean(ends["dn"]) > np.mean(ends["alternate"])


@every_setting
def test_reptile_moves_towards_each_domain_in_turn(squared, optimizer):
    method, data, w = make("reptile", squared=squared, descent=optimizer(), beta=0.4)
    descent = optimizer()
    for epoch in range(2):
        run(method, epoch)
        for d in order(method, epoch):
            w = negotiated(w, data, [d], 0.4, descent, squared)
    assert_weights(method, w, optimizer)


@every_setting
def test_maml_is_the_gradient_through_the_inner_step(squared, optimizer):
    method, _, w = make("maml", squared=squared, descent=optimizer(), alpha=0.2)
    descent = optimizer()
    for epoch in range(2):
        batches = [method.inner_batches(int(d), epoch, 0).take(method.columns) for d in order(method, epoch)]
        run(method, epoch)
        for batch in batches:
            support, query = ((stack(half), half["label"][0]) for half in halves(batch))
            adapted = w - 0.2 * gradient(w, support, squared)
            through = np.eye(WIDTH) - 0.2 * hessian(w, support, squared)
            w = descent.step(w, through @ gradient(adapted, query, squared))
    assert_weights(method, w, optimizer)


def stack(chunk):
    return np.stack([chunk[f"x{i}"][0] for i in range(WIDTH)], axis=1)


def rows_at(method, rows):
    chunk = method.columns.take(rows, 1)
    return stack(chunk), chunk["label"][0]


@every_setting
def test_mldg_adds_the_gradient_of_the_other_domains_after_a_step(squared, optimizer):
    method, _, w = make("mldg", squared=squared, descent=optimizer(), alpha=0.2, beta=0.7)
    descent = optimizer()
    for epoch in range(2):
        train, test = (rows_at(method, rows) for rows in method.draw(16, method.generator(epoch)))
        run(method, epoch)
        adapted = w - 0.2 * gradient(w, train, squared)
        through = (np.eye(WIDTH) - 0.2 * hessian(w, train, squared)) @ gradient(adapted, test, squared)
        w = descent.step(w, gradient(w, train, squared) + 0.7 * through)
    assert_weights(method, w, optimizer)


def test_mldg_tests_on_other_domains_than_it_trains_on():
    method, *_ = make("mldg", rows=(10, 10, 10))
    for seed in range(5):
        sides = [set(method.columns.domain_of(rows)) for rows in method.draw(40, np.random.default_rng(seed))]
        assert sides[0] and sides[1] and not sides[0] & sides[1]


@every_setting
def test_pcgrad_projects_conflicting_gradients(squared, optimizer):
    method, data, w = make("pcgrad", squared=squared, seed=2, descent=optimizer())
    share, descent = np.array([12, 20]) / 32, optimizer()
    for epoch in range(2):
        g = [s * gradient(w, d, squared) for s, d in zip(share, data, strict=True)]
        assert g[0] @ g[1] < 0, "the example must conflict"
        run(method, epoch)
        a = g[0] - (g[0] @ g[1]) / (g[1] @ g[1]) * g[1]
        b = g[1] - (g[1] @ g[0]) / (g[0] @ g[0]) * g[0]
        w = descent.step(w, a + b)
    assert_weights(method, w, optimizer)


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
    parts = [gradients[:, :1], gradients[:, 1:].reshape(n, 3, 1)]
    factors = projected(gram(parts), np.random.default_rng(5))
    expected = by_definition(list(gradients), np.random.default_rng(5))
    np.testing.assert_allclose(factors @ gradients, expected, atol=1e-10)


def test_cyclic_refills_a_domain_that_runs_out_of_rows():
    method, *_ = make("cyclic")
    turns = method.turns(0, 0, 16)
    rows = np.concatenate([next(turns) for _ in range(3)])
    # Each of the 12 once before any again, within a turn and from one to the next.
    np.testing.assert_array_equal(np.sort(rows.reshape(4, 12)), np.tile(np.arange(12), (4, 1)))


@every_setting
def test_cyclic_takes_a_batch_of_each_domain_in_turn_at_a_slower_shared_rate(squared, optimizer):
    method, _, w = make("cyclic", (40, 60), squared, descent=optimizer(), linear=Biased)
    shared = optimizer(RATE / 2 if optimizer is Adam else RATE)  # SGD knows no factor of a rate
    bias, own = np.zeros(2), [optimizer(), optimizer()]
    for epoch in range(2):
        turns = [method.turns(epoch, d, 32) for d in (0, 1)]
        run(method, epoch)
        for step, d in enumerate([0, 1, 0, 1], start=4 * epoch):  # two rounds
            x, y = rows_at(method, next(turns[d]))
            moves = gradient(np.append(w, bias[d]), (np.c_[x, np.ones(32)], y), squared)
            own[d].t = step  # a domain's slots are its own, but bias correction counts all steps
            w, bias[d] = shared.step(w, moves[:-1]), own[d].step(bias[d], moves[-1])
    assert_weights(method, w, optimizer)
    np.testing.assert_allclose(method.model.bias.numpy()[:2, 0], bias, **TOLERANCE[optimizer])


@every_setting
@pytest.mark.parametrize("passes", [1.0, 0.5])  # with 0.5 an epoch has two rounds, of half the rows each
def test_mamdr_is_algorithm_3(passes, squared, optimizer):
    rows, descent, rounds = (13, 20, 7), optimizer(), round(1 / passes)
    own_settings = {"beta": 0.5, "gamma": 0.25, "k": 2, "inner_passes": passes}
    method, _, w = make("mamdr", rows, squared, descent=optimizer(), **own_settings)
    own = np.zeros((3, WIDTH))

    def inner_rows(part, d, *loop):
        order = method.generator(epoch, d, *loop).permutation(method.columns.domain_rows(d))
        return rows_at(method, np.array_split(order, rounds)[part])

    for epoch in range(2):
        run(method, epoch)
        for part in range(rounds):
            data = [inner_rows(part, d) for d in range(3)]
            w = negotiated(w, data, order(method, epoch, part), 0.5, descent, squared)
        for i in range(3):
            random = method.generator(epoch, rounds, i)
            for j in [d for d in random.choice(3, 3, replace=False) if d != i]:
                part, inner = random.integers(rounds), own[i]
                for d in (j, i):
                    inner = descent.step(inner, gradient(w + inner, inner_rows(part, d, i, j), squared))
                own[i] = own[i] + 0.25 * (inner - own[i])
    assert_weights(method, w, optimizer)
    np.testing.assert_allclose(differences(method)[:3], own, **TOLERANCE[optimizer])
    assert not differences(method)[3].any()  # the unknown domain has the shared parameters


def differences(method) -> np.ndarray:
    """Return what each domain adds to the weights, the unknown one last."""
    return method.model.domain_parameters.stacks[0][0].numpy()[:, :, 0]


@both_losses
@pytest.mark.parametrize("name", ["finetune", "isolated"])
def test_a_domain_that_trains_by_itself_begins_every_epoch_with_empty_slots(name, squared):
    method, data, _ = make(name, squared=squared, descent=Adam())
    if name == "finetune":
        run(method)
        assert method.next_phase()
    shared = weights(method).astype(float)
    own = np.zeros((2, WIDTH))
    for epoch in (1, 2):
        run(method, epoch)
        for d in range(2):
            own[d] = Adam().step(own[d], gradient(shared + own[d], data[d], squared))
        np.testing.assert_allclose(differences(method)[:2], own, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(weights(method), shared.astype("float32"))
    # The unknown domain keeps the shared weights, or trains on some of all rows.
    assert differences(method)[2].any() == (name == "isolated")
    assert not method.next_phase()


@every_setting
def test_uncertainty_weights_are_learned_with_the_model(squared, optimizer):
    method, data, w = make("weighted_loss", squared=squared, descent=optimizer())
    share, s, descent, of_s = np.array([12, 20]) / 32, np.zeros(2), optimizer(), optimizer()
    for epoch in range(2):
        run(method, epoch)
        weighed = share * np.exp(-s)
        moves_s = share / 2 - weighed * mean_losses(w, data, squared)
        w = descent.step(w, mixed(weighed, w, data, squared))
        s = of_s.step(s, moves_s)
        assert_weights(method, w, optimizer)
        log_variance = method.steps.objective.log_variance.numpy()
        np.testing.assert_allclose(log_variance[:2], s, **TOLERANCE[optimizer])


def mean_losses(w, data, squared):
    return np.array([losses(w, d, squared).mean() for d in data])


def mixed(shares, w, data, squared):
    return sum(s * gradient(w, d, squared) for s, d in zip(shares, data, strict=True))


@every_setting
def test_dynamic_weight_average_follows_how_losses_fall(squared, optimizer):
    method, data, w = make("dwa", squared=squared, descent=optimizer(), temperature=2.0)
    means, descent = [], optimizer()
    for epoch in range(3):
        means.append(mean_losses(w, data, squared))
        lam = np.ones(2)
        if epoch >= 2:
            ratio = means[epoch - 1] / means[epoch - 2]
            lam = 2 * np.exp(ratio / 2) / np.exp(ratio / 2).sum()
        w = descent.step(w, mixed(lam * np.array([12, 20]) / 32, w, data, squared))
        run(method, epoch)
        assert_weights(method, w, optimizer)


@every_setting
def test_dynamic_task_prioritization_weighs_the_difficult_domain_more(squared, optimizer):
    method, data, w = make("dtp", squared=squared, descent=optimizer(), gamma=2.0, alpha=0.25)
    kappa, descent = np.full(2, 0.5), optimizer()
    for epoch in range(2):
        right = np.array([np.exp(-losses(w, d, squared)).mean() for d in data])
        kappa = kappa + 0.25 * (right - kappa)
        share = -((1 - kappa) ** 2) * np.log(kappa) * np.array([12, 20]) / 32
        w = descent.step(w, mixed(share, w, data, squared))
        run(method, epoch)
        assert_weights(method, w, optimizer)
