"""Prompts from a grid of slots, without a model that writes: spread out at first, then of options that did well."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from elicit.tuning.protocol import Candidate, Pool, Proposal, Writer
from studies.tuning.text.grid import Composer, SlotChoice, read_grid
from studies.tuning.text.repair import fields, repair

GRID = Path(__file__).with_name("slots.toml")
_KNOWN = 4  # prompts with votes before effects are fitted
_DRAWS = 60  # choices among which the one farthest from all others is taken
_TRIES = 40  # draws for each prompt that is wanted, before giving up
_STARTS = 3  # climbs for each draw of the effects, beside that from the best prompt


class Slots:
    """Composes prompts from slots: role, wording of the task, style, constraint, examples, frame.

    grid: a TOML file of your own instead of `slots.toml`.

    The first prompts are spread out (best candidate sampling, Mitchell 1991). Once prompts have votes, the effects of
    options on the utility are fitted, a Bayesian linear model with each prompt's own variance, and every new prompt is
    the best unseen one under a draw of the effects: linear Thompson sampling (Agrawal and Goyal 2013).

    Raises BadInputError where the grid is none.
    """

    asks = False

    def __init__(self, grid: str = "") -> None:
        self._grid = read_grid(Path(grid) if grid else GRID)

    def begin(self, write: Writer | None) -> None:
        """A model that writes is not needed."""

    async def propose(self, pool: Pool, k: int, rng: np.random.Generator) -> Sequence[Proposal]:
        """About k prompts, each a choice that the pool's live prompts have not made."""
        composer = Composer(self._grid, pool)
        choices = [(p, dict(p.slots)) for p in pool.prompts if p.slots and composer.fits(p.slots)]
        earlier_choices = [choice for _, choice in choices]
        voted_choices = [(prompt, choice) for prompt, choice in choices if prompt.votes]
        effects = _Effects(composer.options, voted_choices) if len(voted_choices) >= _KNOWN else None
        proposals, texts = list[Proposal](), {prompt.text for prompt in pool.prompts}
        for _ in range(_TRIES * k):
            if len(proposals) == k:
                break
            choice = (
                _choose_farthest(composer, earlier_choices, rng)
                if effects is None
                else _choose_best(composer, effects, earlier_choices, rng)
            )
            if choice is None:
                break
            earlier_choices.append(choice)
            text = repair(composer.compose(choice, rng), fields(pool), pool.rules)
            if text in texts or pool.rules.broken(text):
                continue
            texts.add(text)
            parent = effects.nearest(choice) if effects else None
            proposals.append(Proposal(text, (parent.row,) if parent else (), choice, _why(choice, parent)))
        return proposals


def _why(choice: SlotChoice, parent: Candidate | None) -> str:
    if parent is None:
        return "A combination unlike those there are."
    changed = [f"{slot} {name}" for slot, name in choice.items() if parent.slots.get(slot) != name]
    return f"Changes {', '.join(changed)}."


def _choose_farthest(
    composer: Composer, earlier_choices: Sequence[SlotChoice], rng: np.random.Generator
) -> SlotChoice | None:
    """Of some draws the one that differs in most slots from the choice nearest to it; of several the one whose options
    are the rarest so far."""
    choices = itertools.islice(composer.draw(rng), _DRAWS * 4)
    fit = list(
        itertools.islice(
            (choice for choice in choices if composer.fits(choice) and choice not in earlier_choices), _DRAWS
        )
    )
    counts = Counter(key for other in earlier_choices for key in other.items())

    def apart(choice: SlotChoice) -> tuple[int, float]:
        nearest = min((_distance(choice, other) for other in earlier_choices), default=0)
        return nearest, -sum(counts[key] / composer.weight(*key) for key in choice.items())

    return max(fit, key=apart, default=None)


def _distance(a: SlotChoice, b: SlotChoice) -> int:
    return sum(a[slot] != b[slot] for slot in a)


class _Effects:
    """What each option adds to the utility: a normal posterior, given prompts with a mean and a variance each.

    With X the (n, C) indicators of options, y the utilities (n,) and V their variances (n,), the effects have precision
    X'V^-1 X + I / tau^2. tau spreads what utilities differ by over the slots; V has the same again, because no sum of
    slots is all of a prompt.
    """

    def __init__(self, options: dict[str, list[str]], prompt_choices: Sequence[tuple[Candidate, SlotChoice]]) -> None:
        self._prompt_choices = prompt_choices
        columns = [(slot, name) for slot, names in options.items() for name in names]
        self._column = {key: place for place, key in enumerate(columns)}
        X = np.zeros((len(prompt_choices), len(columns)))
        for row, (_, choice) in enumerate(prompt_choices):
            X[row, [self._column[key] for key in choice.items()]] = 1.0
        y = np.array([prompt.utility for prompt, _ in prompt_choices])
        noise = np.array([prompt.sd for prompt, _ in prompt_choices]) ** 2
        tau2 = max(float(np.var(y)), 0.25) / len(options)
        weighted = X / (noise + tau2)[:, None]
        precision = X.T @ weighted + np.eye(len(columns)) / tau2
        self._mean = np.linalg.solve(precision, weighted.T @ y)
        # With L L' the precision, L'^-1 z has the posterior's covariance.
        self._root = np.linalg.cholesky(precision).T

    def draw(self, rng: np.random.Generator) -> dict[tuple[str, str], float]:
        """What each option of each slot adds, under one draw of the posterior."""
        effects = self._mean + np.linalg.solve(self._root, rng.standard_normal(len(self._mean)))
        return {key: float(effects[place]) for key, place in self._column.items()}

    @property
    def best(self) -> SlotChoice:
        """The choice of the prompt with the highest mean."""
        return max(self._prompt_choices, key=lambda prompt_choice: prompt_choice[0].utility)[1]

    def nearest(self, choice: SlotChoice) -> Candidate:
        """The prompt that the choice changes least; of several the best."""
        return min(
            self._prompt_choices,
            key=lambda prompt_choice: (_distance(choice, prompt_choice[1]), -prompt_choice[0].utility),
        )[0]


def _choose_best(
    composer: Composer, effects: _Effects, earlier_choices: Sequence[SlotChoice], rng: np.random.Generator
) -> SlotChoice | None:
    """The unseen choice that a draw of the effects puts highest, found by climbing over changes of one or two slots."""
    adds = effects.draw(rng)
    best: SlotChoice | None = None
    fit = (choice for choice in itertools.islice(composer.draw(rng), _DRAWS * 4) if composer.fits(choice))
    for start in (effects.best, *itertools.islice(fit, _STARTS)):
        here: SlotChoice | None = start
        top = start
        while here is not None:
            top = here
            here = next((way for gain, way in _ways(top, adds) if gain > 0 and composer.fits(way)), None)
        new = next((way for _, way in _ways(top, adds) if way not in earlier_choices and composer.fits(way)), None)
        if new is not None and (best is None or _worth(new, adds) > _worth(best, adds)):
            best = new
    return best


def _worth(choice: SlotChoice, adds: dict[tuple[str, str], float]) -> float:
    return sum(adds[key] for key in choice.items())


def _ways(here: SlotChoice, adds: dict[tuple[str, str], float]) -> Iterator[tuple[float, SlotChoice]]:
    """The choice itself and all that differ in one slot or two, those that gain most first, with their gains."""
    gains = {key: add - adds[key[0], here[key[0]]] for key, add in adds.items() if here[key[0]] != key[1]}
    pairs = [(a, b) for a, b in itertools.combinations(gains, 2) if a[0] != b[0]]
    changes: list[tuple[tuple[str, str], ...]] = [(), *((key,) for key in gains), *pairs]
    total_gains = [sum(gains[key] for key in change) for change in changes]
    for place in sorted(range(len(changes)), key=lambda place: -total_gains[place]):
        yield total_gains[place], here | dict(changes[place])
