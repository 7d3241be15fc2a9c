"""Laws of places: however one is spelled it is filled or refused, once or twice makes no difference, and braces that
are text stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.tuning.placeholders import checked_prompt, why_not_filled, with_places
from elicit.tuning.protocol import Input, Rules, fill
from elicit.types import BadInputError
from studies.tuning.text.repair import repair

NAMES = ("input", "question", "Größe", "film_2")
OTHERS = ("review", "text_to_judge", "x", "ctx")
BRACES = ["{%s}", "{{%s}}", "{{{%s}}}", "${%s}", "${{%s}}", "{{$%s}}"]
BRACKETS = ["<%s>", "<<%s>>", "[%s]", "[[%s]]", "<%s/>"]
LITERALS = [
    '{"label": "positive"}',
    '{{"label": "positive"}}',
    "{'a': {'b': [1, 2]}}",
    "{positive/negative}",
    "\\frac{1}{2}",
    "{}",
    "{{}}",
    "{ }",
    "function f() {\n  return 1;\n}",
    "100 %",
    "{# note #}",
    "a[0] < b[1]",
    "<b>bold</b>",
    "[a link](http://example.org)",
    "$5",
]
blanks = st.sampled_from(["", " ", "  ", "\t"])
cases = st.sampled_from([str, str.upper, str.title])


@st.composite
def spelled(draw: st.DrawFn, names: tuple[str, ...] = NAMES, styles: tuple[str, ...] = (*BRACES, *BRACKETS)) -> str:
    name = draw(cases)(draw(st.sampled_from(names)))
    return draw(st.sampled_from(styles)) % f"{draw(blanks)}{name}{draw(blanks)}"


literals = st.lists(st.sampled_from(LITERALS) | st.text("ab .,:\n", max_size=8), max_size=4).map(" ".join)
anything = st.lists(
    spelled() | spelled(OTHERS) | st.sampled_from(LITERALS) | st.text("{}<>[]$ \n\tainput", max_size=8), max_size=6
).map("".join)


@given(literals, st.sampled_from(NAMES), st.data(), literals)
def test_every_spelling_of_a_name_is_its_place_and_braces_that_are_text_stay(
    before: str, name: str, data: st.DataObject, after: str
) -> None:
    for styles in (tuple(BRACES), tuple(BRACKETS)):
        text = f"{before} {data.draw(spelled((name,), styles))} {after}"
        assert with_places(text, (name,)) == f"{before} {{{name}}} {after}"
        assert checked_prompt(text, (name,), "it") == f"{before} {{{name}}} {after}"
        assert fill(with_places(text, (name,)), Input("i", {name: "{VALUE}"})) == f"{before} {{VALUE}} {after}"


@given(anything, st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
def test_doing_it_twice_is_doing_it_once(text: str, names: list[str]) -> None:
    once = with_places(text, names)
    assert with_places(once, names) == once
    assert with_places(once, names[::-1]) == once


@given(anything, st.booleans(), st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
def test_what_a_writer_spelled_comes_out_as_the_places_that_there_are(
    text: str, framed: bool, names: list[str]
) -> None:
    parent = "Say it.\n\n" + "\n".join(f"Given: {{{name}}}" for name in names) if framed else ""
    made = repair(text, tuple(names), Rules(), parent)
    if not text.strip():
        assert made == ""
        return
    assert all(f"{{{name}}}" in made for name in names)
    assert repair(made, tuple(names), Rules(), parent) == made


@given(literals, spelled(OTHERS, tuple(BRACES)), literals)
def test_a_place_under_another_name_means_the_one_that_was_lost(before: str, place: str, after: str) -> None:
    made = repair(f"A {before} {place} {after} z", ("input",), Rules(), "Say it: {input}")
    assert fill(made, Input("i", {"input": "VALUE"})).count("VALUE") == 1
    assert place not in made


@given(literals, spelled(OTHERS, ("{{%s}}", "{{{%s}}}", "${{%s}}")), literals)
def test_a_person_is_told_of_a_place_that_nothing_fills(before: str, place: str, after: str) -> None:
    for text in (f"{before} {place} {after}", f"{before} {{{{input}}}} {place} {after}"):
        with pytest.raises(BadInputError, match=r"^it: it has the place .*, and the inputs have \{input\}; write that"):
            checked_prompt(text, ("input",), "it")
    # Where the place is there in our own spelling, double braces are text, such as a lesson on templates.
    assert checked_prompt(f"{before} {{input}} {place}", ("input",), "it") == f"{before} {{input}} {place}"


@pytest.mark.parametrize(
    "expression",
    ["{{ input | trim }}", "{{input.text}}", "{{#if input}}", "{{f(input)}}", "{{- input -}}", "{% if input %}"],
)
def test_an_expression_is_refused(expression: str) -> None:
    assert f"it has the expression {expression}" in why_not_filled(f"{{input}} {expression}", ("input",))


@pytest.mark.parametrize("place", ["{review!r}", "{review:>10}", "%(review)s", "$review"])
def test_a_place_of_another_template_language_is_refused_unless_the_field_has_one(place: str) -> None:
    assert place in why_not_filled(f"Judge: {place}", ["review"])
    assert why_not_filled(f"Judge: {{review}} and {place}", ["review"]) == ""


def test_a_field_that_no_place_can_name_is_said() -> None:
    assert "rename the field" in why_not_filled("Judge {film review}.", ("film review",))
    assert not why_not_filled("Judge it.", ("film review",))


@pytest.mark.parametrize("text", ["<input>{input}</input>", "<input></input>", "See [input](x).", "{input}, <input>"])
def test_brackets_that_are_markup_stay(text: str) -> None:
    assert with_places(text, ("input",)) == text
