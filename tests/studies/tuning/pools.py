"""Pools that proposers are shown in the tests."""

from elicit.tuning.protocol import Candidate, Input, Loss, Pool


def inputs(*given: tuple[str, str]) -> tuple[Input, ...]:
    return tuple(Input(f"i{n}", {"input": text}, answer) for n, (text, answer) in enumerate(given))


def candidate(row: int, text: str, utility: float = 0.0, votes: int = 0, **more: object) -> Candidate:
    return Candidate(row, text, utility, 0.5, 0.1, votes, **more)  # type: ignore[arg-type]


FILM = Pool(
    "Say whether a film review is positive or negative.",
    (candidate(0, "Is this review positive or negative? One word.\n\nReview: {input}\nAnswer:"),),
    (),
    inputs(
        ("A joy from start to end.", "positive"),
        ("I fell asleep after ten minutes.", "negative"),
        ("The leads have no chemistry at all.", "negative"),
        ("Funny, warm and very well acted.", "positive"),
        ("A waste of a great cast.", "negative"),
        ("I would see it again tomorrow.", "positive"),
    ),
)
WORD = Pool(
    "Give the antonym of a word.",
    (candidate(0, "Write the opposite of the word.\nWord: {input}\nOpposite:"),),
    (),
    inputs(("hot", "cold"), ("early", "late"), ("brave", "cowardly"), ("full", "empty"), ("accept", "refuse")),
)
LATER = Pool(
    FILM.task,
    (
        candidate(3, "You are a critic. Say if the review is positive or negative.\n\n{input}", 1.0, 6),
        candidate(0, FILM.prompts[0].text, 0.2, 5),
        candidate(5, "Think. Then label the text: {input}", -0.4, 4, proposer="rewrite"),
        candidate(7, "Sentiment?\n{input}", -0.8, 3, proposer="crossover"),
    ),
    (
        Loss(
            0, 3, "A joy.", "Positive! It is a joy.", "positive", "positive", ("shorter",), "Only the label is wanted."
        ),
        Loss(5, 0, "So dull.", "positive", "negative", "negative"),
        Loss(3, 7, "Meh.", "I cannot say.", "negative"),
    ),
    FILM.examples,
)
