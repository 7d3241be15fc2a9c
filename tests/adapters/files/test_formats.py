"""Files of items, pairs and judgments: what is right reads the same from every kind, what is wrong is one sentence."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.files.export import write_rows
from adapters.files.formats import PairRow, check_judgments, read_items, read_judgments, read_pairs
from elicit.safe_text import one_line
from elicit.types import BadInputError, Item

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data"
KINDS = ("jsonl", "csv", "parquet")

tricky = st.sampled_from("=+-@'\"\t\r\n,;{[\\")
texts = st.text(st.characters(exclude_categories=["Cs"]) | tricky, max_size=12)
full_texts = texts.filter(bool)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), finite, texts)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
metas = st.dictionaries(texts, json_values, max_size=3)


@st.composite
def pools(draw: st.DrawFn) -> list[Item]:
    """Two to five items of one shape, all of them different."""
    names = draw(st.lists(texts, max_size=2, unique=True))
    length = draw(st.sampled_from([None, 1, 3]))
    vector = st.none() if length is None else st.tuples(*[finite] * length)
    item = st.builds(
        Item,
        id=full_texts,
        text=full_texts,
        display=texts,
        context=texts,
        features=st.fixed_dictionaries(dict.fromkeys(names, finite)),
        embedding=vector,
        meta=metas,
    ) | st.builds(
        Item,
        id=full_texts,
        payload=st.lists(json_values, max_size=3) | metas,
        features=st.fixed_dictionaries(dict.fromkeys(names, finite)),
        embedding=vector,
    )
    different = (lambda one: one.id, lambda one: one.content_hash)
    return draw(st.lists(item, min_size=2, max_size=5, unique_by=different))


def complaint(read: Any, path: Path | str, data: bytes | str | None = None) -> str:
    """What a reader says about a file it refuses: one sentence that starts with the file's name."""
    if data is not None:
        Path(path).write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(BadInputError) as caught:
        read(path)
    said = str(caught.value)
    assert said == one_line(said)
    assert not said.endswith(".")
    assert "; " in said, "it says what to do"
    return said.replace(str(path), Path(path).name)


def refusal(read: Any, path: Path) -> str | None:
    """What a reader says about a file, None when it reads some rows; anything else it raises goes through."""
    try:
        rows = read(path)
    except BadInputError as error:
        return str(error)
    assert rows
    return None


@settings(deadline=None, max_examples=60)
@given(pool=pools(), kind=st.sampled_from(KINDS))
def test_items_written_read_back_the_same(pool: list[Item], kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"pool.{kind}"
        write_rows(path, pool)
        assert read_items(path) == pool


@settings(deadline=None, max_examples=40)
@given(
    pairs=st.lists(
        st.builds(PairRow, full_texts, texts, texts.map("a{}".format), texts.map("b{}".format), metas),
        min_size=1,
        max_size=4,
        unique_by=lambda pair: pair.pair_id,
    ),
    kind=st.sampled_from(KINDS),
)
def test_pairs_written_read_back_the_same(pairs: list[PairRow], kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"pairs.{kind}"
        write_rows(path, pairs)
        assert read_pairs(path) == pairs


@settings(deadline=None, max_examples=250)
@given(
    data=st.one_of(
        st.binary(max_size=60),
        texts.map(str.encode),
        st.lists(json_values, max_size=3).map(lambda rows: b"\n".join(map(msgspec.json.encode, rows))),
        st.lists(
            st.dictionaries(
                st.sampled_from(["id", "text", "payload", "image", "features", "embedding", "meta"]), json_values
            ),
            max_size=3,
        ).map(lambda rows: b"\n".join(map(msgspec.json.encode, rows))),
        st.lists(st.sampled_from(list('text,id"\n\r{}[]:;=1e9')), max_size=40).map(lambda cs: "".join(cs).encode()),
    ),
    kind=st.sampled_from(KINDS),
    read=st.sampled_from([read_items, read_pairs, read_judgments]),
)
def test_any_bytes_read_or_are_refused_in_one_sentence(data: bytes, kind: str, read: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"any.{kind}"
        path.write_bytes(data)
        refused = refusal(read, path)
        assert refused is None or (refused.startswith(str(path)) and refused == one_line(refused))


@settings(deadline=None, max_examples=40)
@given(column=st.lists(json_values, min_size=1, max_size=3), field=st.sampled_from(["id", "text", "features", "meta"]))
def test_any_parquet_column_reads_or_is_refused(column: list[Any], field: str) -> None:
    rows = [{"text": f"t{n}", field: value} for n, value in enumerate(column)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.parquet"
        write_rows(path, rows)
        refused = refusal(read_items, path)
        assert refused is None or refused.startswith(str(path))


GOOD = '{"id": "a", "text": "first"}\n'
JSONL = {
    "wrong type": (GOOD + '{"text": 7}', 'pool.jsonl, line 2, field "text": expected text, got a number; quote it'),
    "blank lines count": ("\n\n" + GOOD + '\n{"text": []}', 'line 5, field "text": expected text, got a list'),
    "invalid json": (GOOD + '{"text" "x"}', "line 2, column 9: invalid JSON (expected ':')"),
    "cut off": (GOOD + '{"text": "x', "line 2, column 12: invalid JSON (it ends too early)"),
    "column in characters": ('{"text": "žž" 1}', "line 1, column 15: invalid JSON"),
    "NaN": ('{"text": "x", "features": {"f": NaN}}', "line 1, column 33: NaN is not a number in JSON"),
    "-Infinity": ('{"text": "x", "features": {"f": -Infinity}}', "column 33: -Infinity is not a number in JSON"),
    "out of range": ('{"text": "x", "embedding": [1e400]}', "line 1: a number is out of range; write one"),
    "half a character": ('{"text": "\\ud800 and more"}', "line 1, column 11: \\ud800 is half a character"),
    "too deep": ('{"payload": ' + "[" * 9999 + "]" * 9999 + "}", "nested too deeply; flatten it"),
    "quite deep": ('{"payload": ' + "[" * 99 + "]" * 99 + "}", 'field "payload": lists and objects are nested'),
    "not an object": ("[1]\n", "row 1: expected a JSON object, got a number"),
    "null": ("null\n", "line 1: expected a JSON object, got null"),
    "no rows": (" \n\r\n", "pool.jsonl: there are no rows in this file; give it at least one"),
    "empty": ("", "pool.jsonl: the file is empty"),
    "not UTF-8": (GOOD.encode() + b'{"text": "\xe9"}', "line 2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    "neither": (
        '{"id": "a"}',
        'line 1, field "text": it is missing, and so is payload; give the item a text, a payload or',
    ),
    "empty text": ('{"text": ""}', 'line 1, field "text": it is empty; give'),
    "both": ('{"text": "x", "payload": 1}', 'line 1, field "payload": there is a text as well; keep one of the two'),
    "unknown field": (
        '{"tekst": "x"}',
        'line 1, field "tekst": this field is not known (did you mean "text"?); '
        "use id, text, messages, payload, image, context, display, features, embedding, meta",
    ),
    "duplicate id": (GOOD + "\n" + '{"id": "a", "text": "b"}', 'line 3, field "id": "a" is the id of line 1 already'),
    "same content": (GOOD + '{"id": "b", "text": "first"}', 'line 2: this is the same item as in line 1 (ids "a" and'),
    "same content, no ids": ('{"text": "x"}\n{"text": "x"}', "line 2: this is the same item as in line 1; keep one"),
    "one item": (GOOD, "pool.jsonl: there is only one item, and a comparison needs two; add another"),
    "id type": ('{"id": 1.5, "text": "x"}', 'field "id": expected text, got a number'),
    "features type": ('{"text": "x", "features": [1]}', 'field "features": expected an object, got a list'),
    "feature type": ('{"text": "x", "features": {"f": true}}', 'field "features.f": expected a number, got true or'),
    "huge": ('{"text": "x", "features": {"f": 1%s}}' % ("0" * 400), 'field "features.f": expected a finite number'),
    "other features": (
        '{"text": "x", "features": {"f": 1}}\n{"text": "y", "features": {"g": 1}}',
        'line 2, field "features": line 1 has the feature "f", and this one has not; give every item the same',
    ),
    "more features": (
        '{"text": "x"}\n{"text": "y", "features": {"g": 1}}',
        'line 2, field "features": line 1 has not the feature "g", and this one has;',
    ),
    "empty embedding": ('{"text": "x", "embedding": []}', "expected a list of numbers, got an empty list"),
    "other length": (
        '{"text": "x", "embedding": [1, 2]}\n{"text": "y", "embedding": [1]}',
        'line 2, field "embedding": 1 numbers here, but 2 in line 1; give every item an embedding of the same length',
    ),
    "no embedding": (
        '{"text": "x", "embedding": [1, 2]}\n{"text": "y"}',
        'line 2, field "embedding": no numbers here, but 2 in line 1',
    ),
}


@pytest.mark.parametrize("case", JSONL)
def test_bad_jsonl(case: str, tmp_path: Path) -> None:
    data, expected = JSONL[case]
    assert expected in complaint(read_items, tmp_path / "pool.jsonl", data)


def test_csv_columns(tmp_path: Path) -> None:
    path = tmp_path / "pool.csv"
    path.write_bytes(
        b"\xef\xbb\xbfid,text,context,display,features.length,features,meta.lang,author,embedding\r\n"
        b'7,"one, ""two""\r\nthree",why,**one**,3.5,"{""depth"": -1}",en,ann,"[1, 2.5]"\r\n'
        b"\r\n"
        b',\'=SUM(A1),,,-4,"{""depth"": 2}",,,"[0, 0]"\r\n'
        b",,,,,,,,\r\n"
    )
    first, second = read_items(path)
    assert first == Item(
        id="7",
        text='one, "two"\r\nthree',
        context="why",
        display="**one**",
        features={"length": 3.5, "depth": -1.0},
        embedding=(1.0, 2.5),
        meta={"lang": "en", "author": "ann"},
    )
    assert second.text == "=SUM(A1)"
    assert second.features == {"length": -4.0, "depth": 2.0}
    assert second.meta == {}
    assert re.fullmatch("[0-9a-f]{10}", second.id)
    assert second.content_hash.startswith(second.id)


def test_csv_payloads(tmp_path: Path) -> None:
    path = tmp_path / "pool.csv"
    path.write_text('payload\nimages/1.png\n"{""x"": 1}"\n3.5\n')
    assert [item.payload for item in read_items(path)] == ["images/1.png", {"x": 1}, 3.5]


def test_parquet_types(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    table = pa.table(
        {
            "id": pa.array([1, 2]),
            "text": pa.array([b"one", "zwölf".encode()], type=pa.binary()),
            "features": pa.array([[("f", 1.5)], [("f", 2.5)]], type=pa.map_(pa.string(), pa.float64())),
            "features.g": pa.array([3, 4]),
            "embedding": pa.array([[1, 2], [3, 4]], type=pa.list_(pa.float32(), 2)),
            "meta": pa.array([{"a": 1}, {"a": 2}]),
            "score": pa.array([float("nan"), 0.5]),
            "kind": pa.array(["x", None]).dictionary_encode(),
            "when": pa.array([0, 1], type=pa.timestamp("us")),
            "__index_level_0__": pa.array([5, 6]),
        }
    )
    pq.write_table(table, path)
    first, second = read_items(path)
    assert (first.id, first.text, second.text) == ("1", "one", "zwölf")
    assert first.features == {"f": 1.5, "g": 3.0}
    assert first.embedding == (1.0, 2.0)
    assert first.meta == {"a": 1, "kind": "x", "when": "1970-01-01T00:00:00"}
    assert second.meta == {"a": 2, "score": 0.5, "when": "1970-01-01T00:00:00.000001"}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text": [1, 2]}, 'pool.parquet, row 1, field "text": expected text, got a number; make the column text'),
        ({"text": ["a", None]}, 'row 2, field "text": it is missing'),
        (
            {"txt": ["a", "b"]},
            'pool.parquet: there is no column "text"; add it, or say with --columns which it is (did you mean "txt"?)',
        ),
        (
            {"text": ["a", "b"], "features.f": [1.0, float("inf")]},
            'row 2, field "features.f": expected a finite number',
        ),
        ({"text": ["a", "b"], "embedding": [[1.0], [float("nan")]]}, 'row 2, field "embedding": expected a finite'),
        ({"text": ["a", "b"], "x": [0.0, float("inf")]}, 'row 2, field "x": expected a finite number'),
        ({"text": ["a", "b"], "x": [b"\xff", b""]}, 'pool.parquet, column "x": the type binary cannot be used'),
        ({"text": []}, "pool.parquet: there are no rows"),
    ],
)
def test_bad_parquet(columns: dict[str, list[Any]], expected: str, tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    pq.write_table(pa.table(columns), path)
    assert expected in complaint(read_items, path)


PAIR = {"pair_id": "p", "prompt": "q", "response_a": "x", "response_b": "y"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"response_b": "x"}, 'field "response_b": the two responses are equal'),
        ({"response_b": "x", "model_a": "m", "model_b": "m"}, "the two responses are equal"),
        ({"response_b": None}, 'line 1, field "response_b": it is missing; fill it in'),
        ({"pair_id": ""}, 'field "pair_id": it is empty; fill it in'),
        ({"prompt": 3}, 'field "prompt": expected text, got a number; quote it'),
        ({"meta": 3}, 'field "meta": expected an object'),
        ({"meta": {"turn": 1}, "turn": 2}, 'field "turn": "turn" is given twice'),
    ],
)
def test_bad_pairs(change: dict[str, Any], expected: str, tmp_path: Path) -> None:
    assert expected in complaint(read_pairs, tmp_path / "pairs.jsonl", json.dumps(PAIR | change))


def test_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    twin = PAIR | {"pair_id": 2, "response_b": "x", "model_a": "m", "model_b": "n", "turn": None}
    path.write_text(f"{json.dumps(PAIR)}\n{json.dumps(twin)}\n")
    first, second = read_pairs(path)
    assert not first.same_text
    assert second == PairRow("2", "q", "x", "x", {"model_a": "m", "model_b": "n"})
    assert second.same_text
    twice = f"{json.dumps(PAIR)}\n\n{json.dumps(PAIR)}\n"
    assert 'line 3, field "pair_id": "p" is the pair_id of line 1 already' in complaint(read_pairs, path, twice)
    lacking = complaint(read_pairs, path, '{"pairid": "p"}')
    assert 'line 1: "pair_id", "prompt", "response_a", "response_b" are missing; there are "pairid"' in lacking
    one = '{"pairid": "p", "prompt": "q", "response_a": "x", "response_b": "y"}'
    assert 'field "pair_id": it is missing; add it (did you mean "pairid"?)' in complaint(read_pairs, path, one)


JUDGMENT = {"pair_id": "p", "judge_id": "maya", "judge_kind": "human", "preference": "tie"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"preference": "A"}, 'line 1, field "preference": expected a or b or tie, got "A"; write a'),
        ({"preference": "left"}, 'got "left"; write one of them'),
        ({"preference": None}, 'field "preference": it is missing'),
        ({"judge_kind": "robot"}, 'field "judge_kind": expected human or llm, got "robot"'),
        ({"order": "abba"}, 'field "order": expected ab or ba or both or unknown'),
        ({"judge_id": True}, 'field "judge_id": expected text, got true or false'),
    ],
)
def test_bad_judgments(change: dict[str, Any], expected: str, tmp_path: Path) -> None:
    assert expected in complaint(read_judgments, tmp_path / "votes.jsonl", json.dumps(JUDGMENT | change))


def test_judgments(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    write_rows(path, [JUDGMENT, JUDGMENT | {"order": "ab", "score": 0.5}])
    first, second = read_judgments(path)
    assert (first.preference, first.order, first.meta) == ("tie", "unknown", {})
    assert (second.order, second.meta) == ("ab", {"score": "0.5"})
    pair = PairRow("p", "q", "x", "y")
    check_judgments([pair], [first, second])
    with pytest.raises(BadInputError) as caught:
        check_judgments([msgspec.structs.replace(pair, pair_id="p1")], [first], path)
    assert str(caught.value) == (
        f'{path}, judgment 1 by "maya": there is no pair "p" (did you mean "p1"?); correct the pair_id or add the pair'
    )


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded preference data is not beside the repository")
@pytest.mark.parametrize("name", ["mtbench", "llmbar", "faireval", "qlora_vicuna"])
def test_recorded_data(name: str) -> None:
    pairs, judgments = read_pairs(DATA / f"{name}_pairs.parquet"), read_judgments(DATA / f"{name}_judgments.parquet")
    check_judgments(pairs, judgments)
    assert len(pairs) == pq.read_metadata(DATA / f"{name}_pairs.parquet").num_rows
    assert len(judgments) == pq.read_metadata(DATA / f"{name}_judgments.parquet").num_rows
