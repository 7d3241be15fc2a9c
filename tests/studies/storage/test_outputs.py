"""No command writes its output over what a study is made of."""

from pathlib import Path

import pytest

from elicit.cli import _code
from tests.studies import making

BATTLES = "model_a,model_b,winner\nx,y,model_a\ny,x,model_b\nx,y,tie\n"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    with making.make(tmp_path) as made:
        making.vote(made, "maya", times=2)
    folder = tmp_path / "study"
    (folder / "golds.jsonl").write_text('{"a": "i1", "b": "i2", "answer": "a"}\n')
    toml = folder / "study.toml"
    toml.write_text(toml.read_text() + '\n[serving]\ngolds = "golds.jsonl"\n')
    (tmp_path / "battles.csv").write_text(BATTLES)
    (tmp_path / "link.csv").symlink_to(folder / "study.db")
    return folder


@pytest.mark.parametrize("name", ["study.db", "study.toml", "study.db-wal", "calls.db", "access.db", "elicit.log"])
def test_a_report_spares_the_studys_own_files(study: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in study.iterdir() if path.is_file() and path.name != "elicit.log"}
    assert _code(["report", str(study), "-o", str(study / name)]) == 2
    assert "choose another name" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("command", ["export", "leaderboard"])
@pytest.mark.parametrize("name", ["study/golds.jsonl", "link.csv"])
def test_tables_spare_what_the_specification_names_and_what_links_lead_to(
    study: Path, command: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = study.parent / "battles.csv" if command == "leaderboard" else study, study.parent / name
    before = output.read_bytes()
    assert _code([command, str(source), "-o", str(output)]) == 2
    assert "choose another name" in capsys.readouterr().err
    assert output.read_bytes() == before


def test_another_file_in_the_study_is_written_again_and_again(study: Path) -> None:
    for _ in range(2):
        assert _code(["export", str(study), "-o", str(study / "votes.csv")]) == 0
        assert _code(["report", str(study), "-o", str(study / "report.html")]) == 0
