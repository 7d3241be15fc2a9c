"""A slot grid: what it may hold, and what its prompts look like."""

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elicit.randomness import stream
from elicit.tuning.protocol import Candidate, Input, Pool, fill
from elicit.types import BadInputError
from studies.tuning.proposers.slots import GRID
from studies.tuning.text.grid import Composer, read_grid
from tests.studies.tuning.pools import FILM, WORD, candidate

OWN = """
[ask.plain]
text = "{{ task }}"
[ask.labels]
text = "Is it {{ labels }}?"
[frame.text]
text = "Text: {{ bare }}"
cue = "Label:"
[examples.two]
shots = 2
"""


def own(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_grid_of_one_s_own_spells_what_it_says(tmp_path: Path) -> None:
    composer = Composer(read_grid(own(tmp_path, OWN)), FILM)
    assert composer.options == {"ask": ["plain", "labels", "seed-0"], "frame": ["text"], "examples": ["two"]}
    text = composer.compose({"ask": "labels", "frame": "text", "examples": "two"}, stream(0, "x"))
    head, *shown, asked = text.split("\n\n")
    assert (head, asked) == ("Is it positive or negative?", "Text: {input}\nLabel:")
    assert sorted(re.sub(r".*Label: ", "", one, flags=re.DOTALL) for one in shown) == ["negative", "positive"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[ask.plain", "own.toml: expected"),
        ("", "own.toml: no slot has texts"),
        ("ask = 3", "own.toml: ask is no slot"),
        ("[ask]\nplain = 'x'", "own.toml: ask is no slot"),
        ("[ask.plain]\ntxt = 'x'", r"own.toml: \[ask.plain\] is no option.*txt"),
        ("[ask.plain]\ntext = 'x'\nweight = 0", r"own.toml: \[ask.plain\].*weight"),
        ("[ask.plain]\ntext = '{{ tsk }}'", r"own.toml: \[ask.plain\] uses 'tsk'; known are: task, deed"),
        ("[ask.plain]\ntext = '{{ bare }}'", r"own.toml: \[ask.plain\] uses 'bare'"),
        ("[ask.plain]\ntext = '{% for %}'", r"own.toml: \[ask.plain\] is no option"),
        (OWN + "[frame.none]\ntext = 'Answer:'", r"\[frame.none\] does not present the input"),
        (OWN + "[examples.many]\nshots = 'many'", r"\[examples.many\].*shots"),
        (OWN + "[order.x]\ninstruction = 'middle'", r"\[order.x\].*middle"),
        (OWN + "[layout.x]\npoints = ['stile']", r"\[layout.x\] has 'stile'"),
        (OWN + "[[clash]]\nask = ['plane']", r"own.toml: a \[\[clash\]\] names ask.plane"),
        (OWN + "[[clash]]\nask = 'plain'", r"own.toml: \[\[clash\]\]"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told) as raised:
        read_grid(own(tmp_path, text))
    assert "\n" not in str(raised.value).removesuffix("\n")


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(BadInputError, match=r"gone.toml cannot be read"):
        read_grid(Path("gone.toml"))


@pytest.mark.parametrize("pool", [FILM, WORD], ids=["film", "word"])
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_what_the_built_in_grid_spells_reads_well(pool: Pool, seed: int) -> None:
    composer, rng = Composer(read_grid(GRID), pool), stream(seed, "x")
    choice = next(filter(composer.fits, composer.draw(rng)))
    text = composer.compose(choice, rng)
    assert text.count("{input}") == 1
    assert not re.search(r"  |\n{3}|[ \t]\n|[.?!]{2}|\{\{|\}\}| [.,;:?!]", text)
    assert text == text.strip()
    # Every sentence begins with a capital; what is said is said once.
    said = re.findall(r"[^.?!\n]+[.?!]", text.split("\n\n")[0]) if choice["ask"] != "none" else []
    assert all(sentence.strip(" -")[0].isupper() for sentence in said if "{" not in sentence)
    assert len(set(said)) == len(said)


def test_every_option_can_be_drawn_and_none_of_its_task_is_missing() -> None:
    composer, drawn = Composer(read_grid(GRID), FILM), set()
    for choice in filter(composer.fits, itertools.islice(composer.draw(stream(0, "x")), 3000)):
        drawn |= set(choice.items())
    assert drawn == {(slot, name) for slot, names in composer.options.items() for name in names}
    assert "labels" in composer.options["constraint"]
    assert "labels" not in Composer(read_grid(GRID), WORD).options["constraint"]


def test_examples_are_balanced_and_never_held_out_or_full_of_places(tmp_path: Path) -> None:
    odd = (
        Input("h", {"input": "Held out."}, "positive", held_out=True),
        Input("p", {"input": "Has a {place} in it."}, "positive"),
        Input("l", {"input": "Long. " * 300}, "positive"),
        Input("u", {"input": "Has no answer."}),
    )
    pool = Pool(FILM.task, (), (), odd + FILM.examples)
    composer = Composer(read_grid(GRID), pool)
    choice = next(c for c in composer.draw(stream(0, "x")) if composer.fits(c) and c["examples"] == "four")
    for seed in range(50):
        text = composer.compose(choice, stream(seed, "examples"))
        assert not any(one.text[:12] in text for one in odd)
        assert text.count("positive\n") + text.count("positive ->") >= 2
        assert sum(one.text in text for one in FILM.examples) == 4
        assert len({one.reference for one in FILM.examples if one.text in text}) == 2


def test_several_fields_stand_under_their_names() -> None:
    asked = Input("0", {"context": "It rained.", "question": "Was it dry?"}, "no")
    pool = Pool("Answer the question about the context.", (), (), (asked,) * 3)
    composer = Composer(read_grid(GRID), pool)
    assert set(composer.options["frame"]) == {"answer", "uncued", "think"}
    choice = next(c for c in composer.draw(stream(1, "x")) if composer.fits(c) and c["examples"] == "one")
    text = composer.compose(choice, stream(0, "x"))
    assert "Context: It rained.\nQuestion: Was it dry?\nAnswer: no" in text
    assert fill(text, asked).count("Question: Was it dry?") == 2
    # What the prompts of the study do not use is not brought in.
    used = Pool(pool.task, (candidate(0, "So: {question}"),), (), (asked,) * 3)
    assert set(Composer(read_grid(GRID), used).options["frame"]) > {"bare", "tags"}


@given(st.text(max_size=60))
@settings(max_examples=40, deadline=None)
def test_a_person_s_wording_is_never_read_as_a_template(said: str) -> None:
    seed = f"Say {{{{ task }}}} {said}"
    pool = Pool("{{ deed }} {% x %} it.", (Candidate(0, seed, 0.0, 1.0, 1.0, 0),))
    composer = Composer(read_grid(GRID), pool)
    choice = next(filter(composer.fits, composer.draw(stream(0, "x"))))
    assert "{{ deed }} {% x %} it." in composer.compose(choice | {"ask": "task"}, stream(0, "x"))
    if "seed-0" in composer.options["ask"]:
        assert "Say {{ task }}" in composer.compose(choice | {"ask": "seed-0"}, stream(0, "x"))
