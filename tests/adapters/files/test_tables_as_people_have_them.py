"""Files as programs of all kinds write them come in as they are; what cannot be used is told at once, or left out."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.files.comparisons import read_comparisons
from adapters.files.export import write_rows
from adapters.files.formats import read_items, read_pairs
from adapters.files.tables import Skipped, read_table
from elicit import cli
from elicit.types import BadInputError
from studies.study import Study

ROWS = [{"id": "1", "text": "Café; it costs, say, 3 €.\nOr\tso."}, {"id": "2", "text": '"Quoted" | barred'}]


def separated(separator: str, end: str = "\n") -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    lines = [["id", "text"], *([row["id"], cell(row["text"])] for row in ROWS)]
    return end.join(separator.join(line) for line in lines) + end


FILES = {
    **{f"{name}.csv": separated(mark).encode() for mark, name in zip(",;\t|", "csvb", strict=True)},
    "mark.csv": b"\xef\xbb\xbf" + separated(";", "\r\n").encode(),
    "unicode.txt": separated("\t", "\r\n").encode("utf-16"),
    "big.csv": b"\xfe\xff" + separated(",").encode("utf-16-be"),
    "sep.csv": ("sep=;\r\n" + separated(";", "\r\n")).encode(),
    "tabs.tsv": separated("\t").encode(),
    "list.json": json.dumps(ROWS, indent=1).encode(),
    "lines.json": "\n".join(map(json.dumps, ROWS)).encode(),
    "mark.json": b"\xef\xbb\xbf" + json.dumps(ROWS).encode(),
    "list.jsonl": json.dumps(ROWS).encode(),
    "lines.ndjson": "\n".join(map(json.dumps, ROWS)).encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_it_is_read_as_it_is(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(FILES[name])
    assert [{"id": item.id, "text": item.text} for item in read_items(file)] == ROWS


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.dictionaries(st.sampled_from("abc"), st.text(st.characters(exclude_categories=["Cs"])), min_size=3),
        min_size=1,
    )
)
def test_what_is_written_for_excel_is_read_back(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    rows = [row for row in rows if any(row.values())]
    if rows:
        write_rows(tmp_path / "x.csv", rows, "excel")
        assert [row.values for row in read_table(tmp_path / "x.csv").rows] == rows


def test_messages_are_a_text(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Boil?"}, {"role": "assistant", "content": [{"type": "text", "text": "7"}]}]
    (tmp_path / "items.jsonl").write_text(
        "\n".join(
            json.dumps({"id": str(n), **row}) for n, row in enumerate([{"messages": turns}, {"payload": turns[:1]}])
        )
    )
    first, second = read_items(tmp_path / "items.jsonl")
    assert first.shown_text == "**user:** Boil?\n\n**assistant:** 7"
    assert second.shown_text == "Boil?"
    pair = {
        "pair_id": 1,
        "prompt": "Boil?",
        "response_a": turns[1:],
        "response_b": [{"role": "assistant", "content": "8"}],
    }
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair))
    (row,) = read_pairs(tmp_path / "pairs.jsonl")
    assert (row.response_a, row.response_b) == ("7", "8")


def test_all_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("pair_id,question\n1,a\n")
    with pytest.raises(
        BadInputError, match=r'"prompt", "response_a", "response_b" are missing; there are "pair_id", "qu'
    ):
        read_pairs(tmp_path / "pairs.csv")


def test_columns_may_be_called_otherwise(tmp_path: Path) -> None:
    (tmp_path / "jokes.csv").write_text("nr,joke,laughs\n1,one,3\n2,two,4\n")
    first, _ = read_items(tmp_path / "jokes.csv", {"id": "nr", "text": "joke"})
    assert (first.id, first.text, first.meta) == ("1", "one", {"laughs": "3"})
    with pytest.raises(BadInputError, match=r'no column "jokes" for text; there are "nr", "joke", "laughs"'):
        read_items(tmp_path / "jokes.csv", {"text": "jokes"})
    (tmp_path / "both.csv").write_text("text,joke\na,b\nc,d\n")
    with pytest.raises(BadInputError, match='there is a column "text" too'):
        read_items(tmp_path / "both.csv", {"text": "joke"})


BAD = {
    "items": (
        '{"id": "1", "text": "a"}\n{"id": "2"}\nnot json\n[]\n{"id": "1", "text": "b"}\n{"id": "3", "text": "a"}\n'
        '{"id": "4", "text": "half \\ud83d"}\n{"id": "5", "text": "c", "features": {"x": 1}}\n'
        '{"id": "6", "text": "d"}\n',
        7,
    ),
    "pairs": (
        '{"pair_id": 1, "prompt": "p", "response_a": "x", "response_b": "y"}\n{"pair_id": 2, "prompt": "p", '
        '"response_a": "x", "response_b": "x"}\n{"pair_id": 1, "prompt": "p", "response_a": "v", "response_b": "w"}\n'
        "5\n",
        3,
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_rows_are_left_out_where_that_is_asked_for(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, bad = BAD[what]
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    read = read_items if what == "items" else read_pairs
    with pytest.raises(BadInputError):
        read(file)
    skipped: Skipped = []
    read(file, None, skipped)
    assert len(skipped) == bad
    assert all("line" in str(error) for error in skipped)
    arguments = ["init", str(tmp_path / "study"), f"--{what}", str(file), "--embedder", "none", "--json"]
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert not (tmp_path / "study").exists()
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments, "--skip-bad"])
    assert end.value.code == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["skipped"] == bad
    assert f"left out {bad} bad rows: {file}, line" in err


@pytest.mark.parametrize(
    ("text", "columns", "outcomes"),
    [
        ("model_a,model_b,winner\nalder,birch,Tie\nalder,birch,model_a \nbirch,alder, ALDER", None, None),
        ("model_a,model_b,winner\nalder,birch,alder\nbirch,alder,alder\nbirch,alder,tie\n", None, [0, 1, 2]),
        ("m1,m2,g1\nalder,birch,m1\nalder,birch,M2\nalder,birch,tie\n", ("m1", "m2", "g1"), [0, 1, 2]),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "tsv", "json"])
def test_winners_are_said_in_many_ways(
    ending: str, text: str, columns: tuple[str, str, str] | None, outcomes: list[int] | None, tmp_path: Path
) -> None:
    file = tmp_path / f"battles.{ending}"
    names, *lines = [line.split(",") for line in text.strip().splitlines()]
    if ending == "json":
        file.write_text(json.dumps([dict(zip(names, line, strict=True)) for line in lines]))
    else:
        file.write_text("\n".join(("," if ending == "csv" else "\t").join(line) for line in [names, *lines]))
    if outcomes is None:  # an item's name is as it is written, unlike the words
        with pytest.raises(BadInputError, match="ALDER"):
            read_comparisons(file, columns)
    else:
        assert read_comparisons(file, columns).outcomes.tolist() == outcomes


def test_judgments_of_pairs_that_are_left_out_are_left_out_too(tmp_path: Path) -> None:
    pairs, judgments = tmp_path / "pairs.jsonl", tmp_path / "judgments.csv"
    pairs.write_text(BAD["pairs"][0])
    judgments.write_text("pair_id,judge_id,judge_kind,preference,seconds\n1,me,human,a,3\n2,me,human,b,4\n")
    with pytest.raises(SystemExit) as end:
        cli.main(["init", str(tmp_path / "s"), f"--pairs={pairs}", f"--judgments={judgments}", "--skip-bad"])
    assert end.value.code == 0
    with pytest.raises(SystemExit) as end:
        cli.main(["run", str(tmp_path / "s")])
    assert end.value.code == 0
    with Study.open(tmp_path / "s", writable=False) as study:
        assert [live.vote.outcome.choice for live in study.state.votes] == ["a"]
