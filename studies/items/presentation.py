"""What is compared, as a judge is to see it: two items, or what two prompts brought forth on the same inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, overload

from elicit.types import Item, Query

if TYPE_CHECKING:
    from elicit.log.state import State
    from elicit.tuning.protocol import Response

QUOTED = 300
"""Characters of an input that stand above its response where there are several."""


class PresentedPair(NamedTuple):
    """Markdown: what stands above both panes, and the two panes."""

    context: str
    a: str
    b: str


def presented_pair(state: State, query: Query) -> PresentedPair:
    """The two sides of a query."""
    a, b = state.items[query.a], state.items[query.b]
    if not query.inputs:
        return PresentedPair(a.context or b.context, a.shown_text, b.shown_text)
    return PresentedPair(
        context_of(state, query.inputs), column(state, query.a, query.inputs), column(state, query.b, query.inputs)
    )


def context_of(state: State, inputs: Sequence[int]) -> str:
    """What stands above both panes: the input, where there is one."""
    return state.inputs[inputs[0]].text if len(inputs) == 1 else ""


def column(state: State, row: int, inputs: Sequence[int]) -> str:
    """What a prompt brought forth on the inputs, each under its input where there are several."""
    responses = [response_text(state.responses[row, input_row]) for input_row in inputs]
    if len(inputs) == 1:
        return responses[0]
    quoted = [" ".join(state.inputs[input_row].text.split()) for input_row in inputs]
    short = [text if len(text) <= QUOTED else text[: QUOTED - 1] + "…" for text in quoted]
    return "\n\n".join(f"> {text}\n\n{response}" for text, response in zip(short, responses, strict=True))


def response_text(response: Response) -> str:
    """A response as it is shown; a failure as such, and one that was cut with a word about it."""
    if response.failure:
        return f"*(no response: {response.failure})*"
    if not response.text.strip():
        return "*(an empty response)*"
    # Above the text: a fence that was cut open would swallow what follows it.
    return f"*(not whole: it was cut at max_tokens)*\n\n{response.text}" if response.cut else response.text


class PresentedItems(Sequence[Item]):
    """The sides of queries as items, for judges that know a study by its items: those of the study or, where prompts
    are compared on inputs, what they brought forth, as it is asked about."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rows: dict[tuple[int, tuple[int, ...]], int] = {}
        self._items: list[Item] = []

    @overload
    def __getitem__(self, row: int) -> Item: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Item]: ...
    def __getitem__(self, row: int | slice) -> Item | Sequence[Item]:
        return (self._items if self._state.inputs else self._state.items)[row]

    def __len__(self) -> int:
        return len(self._items if self._state.inputs else self._state.items)

    def put(self, query: Query) -> Query:
        """The query as one on rows of this."""
        if not query.inputs:
            return query
        a, b = (self._row(row, query.inputs) for row in (query.a, query.b))
        return Query(
            a, b, query.decision, query.score, query.propensity, query.shown, query.selector, query.why, (), query.id
        )

    def _row(self, row: int, inputs: tuple[int, ...]) -> int:
        if (row, inputs) not in self._rows:
            self._rows[row, inputs] = len(self._items)
            state = self._state
            meta = {
                "prompt": state.items[row].id,
                "responses": [state.responses[row, input_row].text for input_row in inputs],
                "references": [state.inputs[input_row].reference for input_row in inputs],
                "kinds": sorted(state.kinds),
            }
            context = context_of(state, inputs)
            self._items.append(Item(f"{row}/{inputs}", column(state, row, inputs), context=context, meta=meta))
        return self._rows[row, inputs]
