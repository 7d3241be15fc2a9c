"""Laws of prompts compared on inputs: a Gaussian over all cells is the yardstick, the plain model the limit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elicit import BadInputError, Engine
from elicit.inference.columns import CHUNK, Triangle
from elicit.inference.gaussian import DECIDED, NODE_WEIGHTS, NODES, GridPosterior, moments_after
from elicit.inference.interactions import MODELS, InteractionPosterior, similarities
from elicit.inference.posterior import Knowledge
from elicit.models.bradley_terry import BradleyTerry
from elicit.models.gp import GaussianProcess
from elicit.types import ChoiceOutcome, Vote, mirror

N, K = 6, 4
FEATURES = np.random.default_rng(1).standard_normal((N, 3))
INPUTS = np.random.default_rng(2).standard_normal((K, 2))
SIMILAR = similarities(INPUTS)
PAIRS = torch.tensor([(i, j) for i in range(N) for j in range(N) if i != j])
EVERY = torch.arange(K)


def votes_on(inputs: st.SearchStrategy[tuple[int, ...]], most: int = 14) -> st.SearchStrategy[list[Vote]]:
    vote = st.builds(
        lambda a, step, c, s, judge, weight, on: Vote(
            a, (a + step) % N, ChoiceOutcome(c, s if c in ("a", "b") else None), judge, weight=weight, inputs=on
        ),
        st.integers(0, N - 1),
        st.integers(1, N - 1),
        st.sampled_from(["a", "b", "tie", "both_bad", "skip"]),
        st.sampled_from([None, 1, 2, 3]),
        st.sampled_from(["maya", "noor"]),
        st.sampled_from([1.0, 0.6]),
        inputs,
    )
    return st.lists(vote, max_size=most)


some = st.sets(st.integers(0, K - 1), max_size=3).map(lambda on: tuple(sorted(on)))
votes = votes_on(some)
plain_votes = votes_on(st.just(()))


def utilities() -> GridPosterior:
    return GaussianProcess().init(N, Knowledge(FEATURES), "cpu")


def on_inputs(rhos: dict[float, float] | None = None, similar: Tensor = SIMILAR) -> InteractionPosterior:
    return InteractionPosterior.over(utilities(), similar, rhos)


def assert_same_belief(one: GridPosterior, other: GridPosterior, atol: float = 1e-8) -> None:
    assert torch.allclose(one.mean(), other.mean(), atol=atol)
    assert torch.allclose(one.sd(centred=True), other.sd(centred=True), atol=atol)
    assert torch.allclose(one.log_evidence, other.log_evidence, atol=atol)
    for here, there in zip(one.difference(PAIRS), other.difference(PAIRS), strict=True):
        assert torch.allclose(here, there, atol=atol)


def over_cells(prior: InteractionPosterior, given_votes: list[Vote]) -> tuple[Tensor, Tensor, Tensor]:
    """By brute force, of utilities and all cells under M models: mean (M, N + N K), covariance and evidence (M,)."""
    m = torch.arange(prior.base.models)
    k = prior.base.block(torch.arange(N), m)
    cells = torch.einsum("m,mpq,ij->mpiqj", prior.rho, k, prior.similar).reshape(len(m), N * K, N * K)
    covariance = torch.zeros(len(m), N + N * K, N + N * K, dtype=torch.float64)
    covariance[:, :N, :N], covariance[:, N:, N:] = k, cells
    mean, evidence, posterior = torch.zeros(len(m), N + N * K, dtype=torch.float64), prior.evidence.clone(), prior
    for vote in given_votes:
        if vote.outcome.choice == "skip":
            continue
        x = torch.zeros(N + N * K, dtype=torch.float64)
        ends = (0.5, 0.5) if vote.outcome.choice == "both_bad" else (1.0, -1.0)
        for row, sign in zip((vote.a, vote.b), ends, strict=True):
            x[row] += sign
            for i in vote.inputs:
                x[N + row * K + i] += sign / len(vote.inputs)
        c = covariance @ x
        d, s2 = mean @ x, c @ x
        noise = posterior.noise
        site = moments_after(vote.outcome, d, s2, noise, noise.lapse_rate(vote.judge, vote.weight))
        covariance = covariance - (1 - site.variance / s2).clamp_min(0)[:, None, None] * torch.einsum(
            "mi,mj,m->mij", c, c, 1 / s2
        )
        mean = mean + c * ((site.mean - d) / s2)[:, None]
        evidence = evidence + site.z.log()
        posterior = posterior._after(vote)
    return mean, covariance, evidence


@settings(max_examples=25, deadline=None)
@given(votes)
def test_it_is_the_gaussian_over_all_cells(given_votes: list[Vote]) -> None:
    prior = on_inputs()
    mean, covariance, evidence = over_cells(prior, given_votes)
    posterior = prior.update(given_votes)
    m = torch.arange(len(evidence))
    assert torch.allclose(posterior.mu, mean[:, :N], atol=1e-8)
    assert torch.allclose(posterior.covariance(torch.arange(N), m), covariance[:, :N, :N], atol=1e-8)
    assert torch.allclose(posterior.evidence, evidence, atol=1e-8)
    for a, b in [(0, 1), (4, 2)]:
        x = torch.zeros(1 + K, N + N * K, dtype=torch.float64)
        x[:, a], x[:, b] = 1, -1
        for i in range(K):
            x[1 + i, N + a * K + i], x[1 + i, N + b * K + i] = 1, -1
        belief, heavy = posterior.on(a, b, EVERY), posterior.heavy(MODELS)
        assert torch.allclose(belief.mean, mean[heavy] @ x.T, atol=1e-8)
        assert torch.allclose(belief.covariance, x @ covariance[heavy] @ x.T, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(plain_votes)
def test_votes_on_no_input_teach_what_they_teach_the_plain_model(given_votes: list[Vote]) -> None:
    plain, same = utilities().update(given_votes), on_inputs().update(given_votes)
    assert torch.allclose(plain.mean(), same.mean(), atol=1e-8)
    assert torch.allclose(plain.sd(centred=True), same.sd(centred=True), atol=1e-8)
    assert torch.allclose(plain.log_evidence, same.log_evidence, atol=1e-8)
    assert torch.allclose(plain.difference(PAIRS).variance, same.difference(PAIRS).variance, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(votes)
def test_inputs_that_add_nothing_leave_the_plain_model(given_votes: list[Vote]) -> None:
    plain, same = utilities().update(given_votes), on_inputs({0.0: 1.0}).update(given_votes)
    assert_same_belief(plain, same)
    assert_same_belief(plain.fantasize(0, 1), same.fantasize(0, 1))
    assert torch.allclose(same.preferred_on(0, 1, EVERY), same.preferred_on(0, 1, EVERY[:1]).expand(K))
    little = on_inputs({1e-6: 1.0}).update(given_votes)
    assert_same_belief(plain, little, 1e-3)


@settings(max_examples=15, deadline=None)
@given(votes)
def test_exchanging_a_and_b_in_the_votes_changes_nothing(given_votes: list[Vote]) -> None:
    turned = [Vote(v.b, v.a, mirror(v.outcome), v.judge, weight=v.weight, inputs=v.inputs[::-1]) for v in given_votes]
    here, there = on_inputs().update(given_votes), on_inputs().update(turned)
    assert_same_belief(here, there)
    assert torch.allclose(here.preferred_on(0, 1, EVERY), there.preferred_on(0, 1, EVERY), atol=1e-8)
    assert torch.allclose(here.preferred_on(0, 1, EVERY), 1 - here.preferred_on(1, 0, EVERY), atol=1e-8)
    mean, low, high = here.win_rate(0, 1, 0.8)
    assert (1 - mean, 1 - high, 1 - low) == pytest.approx(here.win_rate(1, 0, 0.8), abs=0.01)
    assert low <= mean <= high


@settings(max_examples=15, deadline=None)
@given(votes, st.permutations(range(N)), st.permutations(range(K)))
def test_the_order_of_items_and_of_inputs_does_not_matter(
    given_votes: list[Vote], items: list[int], inputs: list[int]
) -> None:
    item, on = {old: new for new, old in enumerate(items)}, {old: new for new, old in enumerate(inputs)}
    moved = [
        Vote(item[v.a], item[v.b], v.outcome, v.judge, weight=v.weight, inputs=tuple(on[i] for i in v.inputs))
        for v in given_votes
    ]
    prior = GaussianProcess().init(N, Knowledge(FEATURES[items], inputs=INPUTS[inputs]), "cpu")
    here, there = on_inputs().update(given_votes), prior.update(moved)
    assert isinstance(there, InteractionPosterior)
    assert torch.allclose(here.mean()[items], there.mean(), atol=1e-7)
    assert torch.allclose(here.sd()[items], there.sd(), atol=1e-7)
    before, after = here.preferred_on(0, 1, torch.tensor(inputs)), there.preferred_on(item[0], item[1], EVERY)
    assert torch.allclose(before, after, atol=1e-7)
    assert here.win_rate(0, 1, 0.9) == pytest.approx(there.win_rate(item[0], item[1], 0.9), abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(votes, st.integers(0, 14))
def test_votes_one_by_one_teach_what_they_teach_together(given_votes: list[Vote], cut: int) -> None:
    whole, parts = on_inputs().update(given_votes), on_inputs().update(given_votes[:cut]).update(given_votes[cut:])
    assert torch.equal(whole.mean(), parts.mean())
    assert torch.equal(whole.preferred_on(0, 1, EVERY), parts.preferred_on(0, 1, EVERY))


@settings(max_examples=15, deadline=None)
@given(votes)
def test_beliefs_that_branch_do_not_disturb_each_other(given_votes: list[Vote]) -> None:
    parent = on_inputs().update(given_votes)
    firsts = [Vote(0, 1, ChoiceOutcome(c), inputs=on) for c in ("a", "b") for on in ((), (0,), (1, 2))]  # type: ignore[arg-type]
    second = Vote(3, 2, ChoiceOutcome("a"), inputs=(0,))
    grown = [parent.fantasize(4, 5)] + [parent.update([first]) for first in firsts]
    for first, child in zip(firsts, grown[1:], strict=True):
        alone = on_inputs().update([*given_votes, first, second])
        branch = child.update([second])
        assert torch.equal(alone.mean(), branch.mean())
        assert torch.equal(alone.preferred_on(0, 1, EVERY), branch.preferred_on(0, 1, EVERY))


@pytest.mark.parametrize("other", [Vote(0, 1, ChoiceOutcome("b"), inputs=(1,)), Vote(3, 2, ChoiceOutcome("a"))])
def test_a_vote_learnt_in_a_thread_while_another_learns_is_learnt_as_alone(
    other: Vote, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Vote(0, 1, ChoiceOutcome("a"), inputs=(1,)), Vote(2, 4, ChoiceOutcome("a"), inputs=(0,))
    parent = on_inputs().update([Vote(1, 2, ChoiceOutcome("b"), inputs=(0, 3))])
    put, beside = Triangle.put, list[InteractionPosterior]()

    def put_after_another(triangle: Triangle, t: int, name: bytes, row: Tensor) -> Triangle:
        monkeypatch.setattr(Triangle, "put", put)
        beside.append(parent.update([other]))  # where the processor turned to the other thread
        return put(triangle, t, name, row)

    monkeypatch.setattr(Triangle, "put", put_after_another)
    children = [(parent.update([first]), first), (beside[0], other), (parent.update([first]), first)]
    for child, vote in [*children, (parent.update([other]), other)]:
        alone = on_inputs().update([Vote(1, 2, ChoiceOutcome("b"), inputs=(0, 3)), vote, second])
        branch = child.update([second])
        assert torch.equal(alone.mean(), branch.mean())
        assert torch.equal(alone.preferred_on(0, 1, EVERY), branch.preferred_on(0, 1, EVERY))


def test_light_models_are_left_behind_and_nothing_else_changes() -> None:
    """Against the Gaussian over all cells, over the models that are left after more votes than columns are kept of
    elsewhere."""
    rng = np.random.default_rng(5)
    given_votes = [
        Vote(*map(int, rng.choice(N, 2, replace=False)), ChoiceOutcome("a"), inputs=(int(rng.integers(K)),))
        for _ in range(3 * CHUNK)
    ]
    prior = on_inputs()
    posterior = prior.update(given_votes)
    mean, covariance, evidence = over_cells(prior, given_votes)
    kept = torch.tensor([int((evidence - e).abs().argmin()) for e in posterior.evidence])
    assert len(prior.evidence) > len(kept)
    assert float(torch.softmax(evidence, 0)[kept].sum()) > 0.99
    assert torch.allclose(posterior.mu, mean[kept, :N], atol=1e-7)
    assert torch.allclose(posterior.covariance(torch.arange(N), torch.arange(len(kept))), covariance[kept, :N, :N])


@settings(max_examples=15, deadline=None)
@given(votes, st.integers(0, N - 1), st.integers(1, N - 1))
def test_a_vote_to_come_is_on_an_input_not_seen_before(given_votes: list[Vote], a: int, step: int) -> None:
    """It narrows as a vote on one more input would that is like none of the others, its mean unmoved."""
    b = (a + step) % N
    apart = torch.block_diag(SIMILAR, torch.ones(1, 1, dtype=torch.float64))
    of_nobody = [Vote(v.a, v.b, v.outcome, weight=v.weight, inputs=v.inputs) for v in given_votes]
    ids = BradleyTerry().init(N, Knowledge(), "cpu")
    posterior = InteractionPosterior.over(ids, apart, {0.7: 1.0}).update(of_nobody)
    narrowed = posterior.fantasize(a, b)
    assert torch.equal(posterior.mean(), narrowed.mean())
    after = [posterior._after(Vote(a, b, outcome, inputs=(K,)), compact=False) for outcome in DECIDED]
    z = [(child.evidence - posterior.evidence).exp()[:, None] for child in after]
    expected = sum(p * child.v for p, child in zip(z, after, strict=True))
    assert torch.allclose(torch.as_tensor(expected), narrowed.v, atol=1e-6)
    seen = posterior.difference(torch.tensor([[a, b]])).probability
    heavy = posterior.preferred_on(a, b, torch.tensor([K]))
    assert torch.allclose(seen, heavy, atol=0.05)  # models that share 5 % of the weight are left out


def test_the_order_of_votes_hardly_matters() -> None:
    rng = np.random.default_rng(8)
    given_votes = [
        Vote(*map(int, rng.choice(N, 2, replace=False)), ChoiceOutcome("ab"[int(rng.integers(2))]), inputs=(t % K,))  # type: ignore[arg-type]
        for t in range(30)
    ]
    here = on_inputs().update(given_votes).difference(PAIRS)
    there = on_inputs().update([given_votes[i] for i in rng.permutation(30)]).difference(PAIRS)
    assert float((here.mean - there.mean).abs().max() / here.variance.sqrt().min()) < 0.25
    assert torch.allclose(here.probability, there.probability, atol=0.05)


def test_intervals_cover_what_the_model_draws() -> None:
    """90 % intervals of differences in general and of win rates, of prompts and inputs as it takes them to be; they are
    a little wide, because it allows for slips and nobody slips."""
    general, rates = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n, k = 12, 8
        features, inputs = rng.standard_normal((n, 4)), rng.standard_normal((k, 3))
        prior = GaussianProcess().init(n, Knowledge(features, inputs=inputs), "cpu")
        assert isinstance(prior, InteractionPosterior)
        m = rng.choice(len(prior.evidence), p=prior.weights.numpy())
        covariance = prior.base.block(torch.arange(n), torch.tensor([m]))[0].numpy() + 1e-9 * np.eye(n)
        rho, root = float(prior.rho[m]), np.linalg.cholesky(covariance)
        u = root @ rng.standard_normal(n)
        w = rho**0.5 * root @ rng.standard_normal((n, k)) @ np.linalg.cholesky(prior.similar.numpy()).T
        cast = []
        for _ in range(80):
            a, b = (int(x) for x in rng.choice(n, 2, replace=False))
            i = int(rng.integers(k))
            x = u[a] - u[b] + w[a, i] - w[b, i]
            cast.append(Vote(a, b, ChoiceOutcome("a" if rng.random() < 1 / (1 + np.exp(-x)) else "b"), inputs=(i,)))
        posterior = prior.update(cast)
        pairs = torch.tensor([(i, j) for i in range(n) for j in range(i)])
        belief = posterior.difference(pairs)
        truth = u[pairs[:, 0]] - u[pairs[:, 1]]
        general.append((np.abs(truth - belief.mean.numpy()) < 1.6449 * belief.variance.sqrt().numpy()).mean())
        for a, b in pairs.tolist():
            apart = (rho * (covariance[a, a] + covariance[b, b] - 2 * covariance[a, b])) ** 0.5
            rate = (1 / (1 + np.exp(-(u[a] - u[b] + apart * NODES.numpy())))) @ NODE_WEIGHTS.numpy()
            _, low, high = posterior.win_rate(a, b, 0.9)
            rates.append(low <= rate <= high)
    assert 0.86 <= np.mean(general) <= 0.97, np.mean(general)
    assert 0.86 <= np.mean(rates) <= 0.97, np.mean(rates)


def compared(*meetings: tuple[int, str], inputs: np.ndarray) -> Engine:
    """Two of four ids that met on (input, winner), in this order."""
    engine = Engine(n_items=4, inputs=inputs, device="cpu")
    for i, winner in meetings:
        engine.tell(0, 1, winner, inputs=[i])
    return engine


def test_an_input_that_leaves_no_doubt_of_the_answer_teaches_less() -> None:
    """Of two inputs without a vote, one is like an input that was decided every time, one like an even one."""
    alike = np.array([[1.0, 0.0], [1.0, 0.05], [-1.0, 0.0], [-1.0, 0.05]])
    engine = compared(*[(0, "a")] * 8, *[(2, winner) for winner in "ab" * 4], inputs=alike)
    p = engine.p_prefer_on(0, 1, [0, 1, 2, 3])
    assert p[0] > p[1] > 0.75 > 0.6 > p[3] > p[2]
    assert engine.choose_inputs(0, 1, among=[1, 3]) == [3]


def test_a_pair_that_met_on_an_input_meets_on_others() -> None:
    engine = compared(*[(1, winner) for winner in "abab"], inputs=np.eye(3))
    *others, met = engine.choose_inputs(0, 1, 3)
    assert (sorted(others), met) == ([0, 2], 1)  # the others are equal but for rounding
    assert engine.choose_inputs(2, 3) == [0]  # the first of equal ones


def test_inputs_asked_together_are_unlike_each_other_and_no_outliers() -> None:
    clusters = np.array([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1], [0.0, 9.0]])
    engine = compared(inputs=clusters)
    chosen = engine.choose_inputs(0, 1, 2)
    assert sorted(np.sign(clusters[chosen, 0])) == [-1, 1]
    assert engine.choose_inputs(0, 1, 9) == engine.choose_inputs(0, 1, 5)
    assert engine.choose_inputs(0, 1, among=[4, 2]) == [2]


def test_an_outcome_on_an_input_speaks_of_inputs_like_it() -> None:
    engine = compared(*[(0, "a")] * 6, inputs=np.array([[1.0], [1.1], [-1.0], [-1.1]]))
    p = engine.p_prefer_on(0, 1, [0, 1, 2, 3])
    assert p[0] > p[1] > p[2]
    assert p[0] > engine.p_prefer([[0, 1]])[0] > 0.5


def test_more_inputs_tell_more_of_those_to_come() -> None:
    """Twelve wins on one input leave open what twelve wins on as many inputs do not."""
    many = compared(*[(i, "a") for i in range(12)], inputs=np.eye(12))
    one = compared(*[(0, "a")] * 12, inputs=np.eye(12))
    assert many.utilities()[1][0] < one.utilities()[1][0]
    assert many.p_prefer([[0, 1]])[0] > one.p_prefer([[0, 1]])[0]
    assert many.win_rate(0, 1)[1] > one.win_rate(0, 1)[1]


def test_a_win_rate_is_that_of_sure_utilities_where_inputs_add_nothing() -> None:
    posterior = on_inputs({1e-9: 1.0}).update([Vote(0, 1, ChoiceOutcome("a"))] * 200)
    mean, low, high = posterior.win_rate(0, 1, 0.9)
    assert low < mean < high < low + 0.15
    assert mean == pytest.approx(float(posterior.difference(PAIRS[:1]).probability), abs=0.02)
    half = posterior.win_rate(0, 1, 0.5)
    assert low < half[1] < half[2] < high


def test_taking_back_a_vote_on_an_input_is_as_if_it_had_never_come() -> None:
    engine = compared((0, "a"), (1, "b"), (2, "tie"), inputs=np.eye(3))
    engine.retract(1)
    other = compared((0, "a"), (2, "tie"), inputs=np.eye(3))
    assert np.array_equal(engine.utilities()[0], other.utilities()[0])
    assert np.array_equal(engine.p_prefer_on(0, 1, range(3)), other.p_prefer_on(0, 1, range(3)))


def test_new_prompts_join_with_the_inputs_of_all_votes_kept() -> None:
    engine = Engine(FEATURES[:4], inputs=INPUTS, device="cpu")
    engine.tell(0, 1, "a", inputs=[2])
    engine.extend(FEATURES[4:])
    whole = Engine(FEATURES, inputs=INPUTS, device="cpu")
    whole.tell(0, 1, "a", inputs=[2])
    assert np.array_equal(engine.p_prefer_on(5, 1, [2]), whole.p_prefer_on(5, 1, [2]))


@pytest.mark.parametrize(
    "options", [{"model": "gp"}, {"model": "bradley_terry"}, {"groups": (1, 2)}, {"scores": FEATURES[:, 0]}]
)
def test_every_model_with_inputs_asks_and_learns(options: dict[str, object]) -> None:
    engine = Engine(FEATURES, inputs=INPUTS, device="cpu", **options)  # type: ignore[arg-type]
    for t in range(5):
        query = engine.ask()
        engine.tell(query.a, query.b, "a", inputs=engine.choose_inputs(query.a, query.b, 1 + t % 2))
    assert 0 < engine.win_rate(0, 1)[0] < 1
    assert engine.ask(3, pending=[(0, 1)])


def test_what_cannot_be_is_said_in_a_sentence() -> None:
    plain, engine = Engine(FEATURES, device="cpu"), Engine(FEATURES, inputs=INPUTS, device="cpu")
    with pytest.raises(BadInputError, match="no input 4; their rows go from 0 to 3"):
        engine.tell(0, 1, "a", inputs=[4])
    with pytest.raises(BadInputError, match="no input -1"):
        engine.learn([Vote(0, 1, ChoiceOutcome("a")), Vote(0, 1, ChoiceOutcome("a"), inputs=(-1,))])
    assert not engine.votes
    with pytest.raises(BadInputError, match="no inputs"):
        plain.tell(0, 1, "a", inputs=[0])
    for ask in (plain.choose_inputs, plain.win_rate, lambda a, b: plain.p_prefer_on(a, b, [0])):
        with pytest.raises(BadInputError, match="no inputs"):
            ask(0, 1)
    with pytest.raises(BadInputError, match="1 input or more"):
        engine.choose_inputs(0, 1, 0)
    with pytest.raises(BadInputError, match="itself"):
        engine.choose_inputs(1, 1)
    with pytest.raises(BadInputError, match="rows"):
        engine.p_prefer_on(0, 1, [0.5])  # type: ignore[list-item]
    with pytest.raises(BadInputError, match="share"):
        engine.win_rate(0, 1, 1.0)
    with pytest.raises(BadInputError, match="does not compare 6 items on inputs"):
        Engine(n_items=6, inputs=INPUTS, model="intransitive", device="cpu")
    with pytest.raises(BadInputError, match="on inputs"):
        Engine(FEATURES, inputs=INPUTS, model="gp", model_options={"exact": 3}, device="cpu")
    with pytest.raises(BadInputError, match="inputs"):
        Engine(FEATURES, inputs=[[np.nan]], device="cpu")
    plain.learn([Vote(0, 1, ChoiceOutcome("a"), inputs=(7,))])  # compared as they are
