"""The lines of the log stay what they were, and what a decision was made on is read off them."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elicit.log.events import PRICE_OF, AnyBody, Basis, Consulted, Routed

DEFAULT = (
    '{"type":"routed","query":4,"to":"nobody","propensity":0.839099999975,"numbers":{"p_a":0.38264536323340637,'
    '"p_tie":0.2347092735331872,"bits":0.47317050659656246,"price":0.0,"price_per_bit":2.113403067306192,"mean":0.0,'
    '"variance":10.625,"queries":40.0,"money":6.904,"price of gpt":0.01,"price of tin":0.002,"price of people":1.0,'
    '"audit":0.2},"reason":"first better with 38%"}'
)
OWN = '{"type":"routed","query":4,"to":"people","propensity":0.5,"numbers":{"mood":2.5,"price":3.0},"wanted":3}'
LINES = [
    DEFAULT,
    OWN,
    '{"type":"routed","query":4,"to":"people","propensity":0.25,"numbers":{"score":0.1,"share":0.2,"chance":0.25,'
    '"mean":-0.5,"variance":4.0,"queries":7.0,"price of people":1.0,"p_a":0.25,"p_tie":0.5},"reason":"score 0.10"}',
    '{"type":"routed","query":4,"to":"audit","propensity":0.2,"reason":"drawn by lot"}',
    '{"type":"consulted","query":4,"judge":"gpt","verdict":{"logits":{"ab":3.0,"ba":-1.5}},"reason":"every judge '
    'answers","numbers":{"confidence":0.7,"threshold":2.0,"mean":0.25,"variance":1.5,"queries":1.0,"p_a":0.5,'
    '"p_tie":0.125}}',
    '{"type":"consulted","query":4,"judge":"gpt","failure":"the line is dead","cost":0.125}',
    '{"type":"consulted","query":4,"judge":"gpt","numbers":{"mood":2.5}}',
]
"""As earlier releases wrote them."""


def read(line: str) -> Any:
    return msgspec.json.decode(line, type=AnyBody)


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_written_as_it_was_read(line: str) -> None:
    assert msgspec.json.encode(read(line)).decode() == line
    basis, numbers = read(line).basis, json.loads(line).get("numbers", {})
    assert list(basis.among(numbers).items())[: len(numbers)] == list(numbers.items())


def test_what_a_decision_was_made_on_is_read_off_its_line() -> None:
    prices = {"gpt": 0.01, "tin": 0.002, "people": 1.0}
    p = (0.38264536323340637, 0.2347092735331872)
    assert read(DEFAULT).basis == Basis(0.0, 10.625, 40.0, 6.904, prices, *p, audit=0.2, bits=0.47317050659656246)


def test_of_what_a_line_does_not_say_nothing_is_known() -> None:
    assert read(OWN).basis == Basis() == Routed(1, "audit", 0.5).basis == Consulted(1, "gpt").basis
    assert Basis().p_a + Basis().p_tie / 2 == pytest.approx(0.5)


floats = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(max_size=12)
OURS = set(Basis().among({})) | {"money", "audit", "bits"}
bases = st.builds(
    Basis,
    mean=floats,
    variance=floats,
    queries=floats,
    money=st.none() | floats,
    prices=st.dictionaries(names, floats, max_size=3),
    p_a=floats,
    p_tie=floats,
    audit=st.none() | floats,
    bits=st.none() | floats,
)
given_by_routers = st.dictionaries(names.filter(lambda name: name not in OURS), st.floats(), max_size=4)


@given(bases, given_by_routers)
def test_what_is_written_comes_back_with_what_the_router_said_besides(basis: Basis, numbers: dict[str, float]) -> None:
    numbers = {name: value for name, value in numbers.items() if not name.startswith(PRICE_OF)}
    body = Routed(4, "people", numbers=basis.among(numbers))
    again = read(msgspec.json.encode(body).decode())
    assert again == body
    assert again.basis == basis
    finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
    assert {name: again.numbers[name] for name in finite} == finite
    assert numbers.keys() & again.numbers.keys() == finite.keys()


@given(bases, st.dictionaries(st.sampled_from(sorted({"mood", *OURS})), floats))
def test_a_router_does_not_overrule_what_its_decision_was_made_on(basis: Basis, numbers: dict[str, float]) -> None:
    found = Basis.of(basis.among(numbers))
    for name, own, read_again in zip(Basis._fields, basis, found, strict=True):
        assert read_again == (numbers.get(name) if own is None else own)
