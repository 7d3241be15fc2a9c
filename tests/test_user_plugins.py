"""Whatever a user's own plug-in does wrong ends in one sentence that names the file and the line, and in the log."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import elicit
from elicit import cli
from studies.local.client import LocalService
from studies.prompt_inputs import signals_of

ROOT = Path(__file__).parent.parent

# How a method fails, and what the sentence about it must say.
FAULTS = {
    "raises": ("return [][1]", "IndexError"),
    "raises over two lines": ("raise ValueError('one\\ntwo')", "ValueError: one two"),
    "exits": ("import sys; sys.exit(7)", "SystemExit: 7"),
    "says what no text can hold": (r"raise ValueError('\ud800 \x1b[31m red')", "ValueError: ⟨U+D800⟩ ␛[31m red"),
    "says too much": ("raise ValueError('x' * 100_000)", f"ValueError: {'x' * 300}…;"),
    "cannot say what it is": ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})", "(Odd;"),
    "panics": ("raise BaseException('as compiled packages do')", "BaseException: as compiled"),
    "returns nothing": ("return None", "returned None"),
    "returns something else": ("return 'seven'", "str"),
}
# Kind of plug-in -> a class whose method `fails`, and how a study uses it.
KINDS = {
    "selector": ("def select(self, posterior, votes, candidates, k, rng):", 'selector = "{}"'),
    "model": ("def init(self, n_items, known, device):", 'model = "{}"'),
    "judge": ("async def judge(self, query):", '[[judges]]\nname = "own"\nkind = "{}"'),
    "judge, without a router": ("async def judge(self, query):", '[[judges]]\nname = "own"\nkind = "{}"'),
    "router": (
        "def route(self, case, seats, budget, rng):",
        '[routing]\nrouter = "{}"\n[[judges]]\nname = "s"\nkind = "simulated"\noptions = {{ utility = "meta.u" }}',
    ),
}
REST = {
    "model": "    def update(self, posterior, votes, rng): return posterior",
    "judge": "    def begin(self, name, items, pairs, folder): pass",
    "router": "    def tell(self, case): pass\n    def label(self, case): pass",
}


def make_study(folder: Path, code: str, use: str) -> tuple[Path, Path]:
    """A study of three items that uses the class `Own` of a file with this code; the study and the file."""
    plugin, study = folder / "own.py", folder / "study"
    plugin.write_text(code)
    items = [{"id": name, "text": name * 5, "meta": {"u": float(i)}} for i, name in enumerate("abc")]
    elicit.Study.create(study, items=items).close()
    spec = (study / "study.toml").read_text()
    name = f"{plugin}:Own"
    if (field := use.split(" ")[0]) in ("selector", "model"):
        spec = re.sub(rf'^{field} = "[^"]*"', use.format(name), spec, flags=re.MULTILINE)
    else:
        spec += "\n" + use.format(name) + "\n"
    (study / "study.toml").write_text(spec)
    return study, plugin


def command(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, out, err


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_one_sentence(kind: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (signature, use), (body, said) = KINDS[kind], FAULTS[fault]
    if "judge" in kind and "router" not in kind:
        use += '\n[routing]\nrouter = "all_llm"'
    code = f"class Own:\n    {signature}\n        {body}\n{REST.get(kind.split(',')[0], '')}\n"
    study, _ = make_study(tmp_path, code, use)
    judge = [] if "judge" in kind or kind == "router" else ["--votes", "1"]
    if judge:  # somebody must answer for a selector or model to be asked
        spec = study / "study.toml"
        spec.write_text(
            spec.read_text() + '\n[[judges]]\nname = "s"\nkind = "simulated"\noptions = { utility = "meta.u" }\n'
        )
    status, out, err = command("run", str(study), "--json", "--votes", "1", capsys=capsys)
    assert status == 2
    assert out == ""
    sentences = [line for line in err.splitlines() if line.startswith("elicit: ")]
    assert len(sentences) == 1
    assert said in sentences[0]
    assert "own.py" in sentences[0]
    assert re.search(r"line [23]\b", sentences[0])
    assert "Traceback" not in err
    if "returns" not in fault:
        log = (study / "elicit.log").read_text()
        assert "Traceback" in log
        assert "own.py" in log


@pytest.mark.parametrize("pick", ["0.5, 1.5, 0.0, 1.0", "None, 1, 0.0, 1.0", "0, 1, 'x', 1.0", "0, 1, 0.0, 'y'"])
def test_a_pick_of_something_else_is_the_selectors_fault(
    pick: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signature, use = KINDS["selector"]
    code = f"from elicit import Pick\nclass Own:\n    {signature}\n        return [Pick({pick})]\n"
    study, _ = make_study(tmp_path, code, use)
    spec = study / "study.toml"
    spec.write_text(spec.read_text() + '\n[[judges]]\nname = "s"\nkind = "simulated"\noptions.utility = "meta.u"\n')
    status, _, err = command("run", str(study), "--votes", "1", capsys=capsys)
    assert status == 2
    assert "select() returned what cannot be used" in err
    assert "own.py, line 3" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("def value(self, posterior, pairs): 1 / 0", r"ZeroDivisionError: .*; line 3, in value\)"),
        ("def value(self, posterior, pairs): pass", r"select\(\) failed \(AttributeError: [^;]*\); mend own.py"),
        (
            "def value(self, posterior, pairs): return -pairs[:, 0]\n    def pairs(self, *_): return self.at",
            r"not .*own.py\)",
        ),
    ],
)
def test_a_fault_of_a_derived_selector_is_looked_for_in_its_own_file(
    method: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = f"import elicit, torch\nclass Own(elicit.Acquisition):\n    {method}\n    at = torch.ones(1, 2).long()\n"
    study, _ = make_study(tmp_path, code, KINDS["selector"][1])
    spec = study / "study.toml"
    spec.write_text(spec.read_text() + '\n[[judges]]\nname = "s"\nkind = "simulated"\noptions.utility = "meta.u"\n')
    status, _, err = command("run", str(study), "--votes", "1", capsys=capsys)
    assert status == 2
    assert re.search(said, err), err
    assert err.count("\n") == 1


def test_a_request_is_answered_whatever_its_method_raises(tmp_path: Path) -> None:
    """Whoever asked the engine process waits for a reply: one that never comes looks like work."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom adapters import rpc\n"
        "class Target:\n"
        "    async def panic(self): raise BaseException('\\ud800')\n"
        "    async def complain(self): raise rpc.BadInputError('\\ud800')\n"
        "    async def tell(self): return '\\ud800'\n"
        "    async def close(self): pass\n"
        "rpc.answer(Path(sys.argv[1]), Target)\n"
    )
    asked = [{"id": i + 1, "method": m, "arguments": []} for i, m in enumerate(("panic", "complain", "tell"))]
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("".join(json.dumps(one) + "\n" for one in asked))
        process.stdin.flush()
        replies = {reply["id"]: reply for reply in (json.loads(process.stdout.readline()) for _ in range(4))}
        process.stdin.close()
    assert set(replies) == {0, 1, 2, 3}
    assert all(replies[number]["error"] for number in (1, 2, 3))


@pytest.mark.parametrize("where", ["select", "load"])
async def test_a_plugin_that_ends_the_engine_is_named(where: str, tmp_path: Path) -> None:
    ends, (signature, use) = "import os; os._exit(7)", KINDS["selector"]
    code = f"class Own:\n    {signature}\n        {ends if where == 'select' else 'return []'}\n"
    study, plugin = make_study(tmp_path, code, use)
    if where == "load":
        plugin.write_text(f"{ends}\n{code}")

    async def vote() -> None:
        service = await LocalService.start(study, "maya")
        try:
            await service.turn()
        finally:
            await service.close()

    with pytest.raises(ConnectionError, match=rf"in a call of selector '{re.escape(str(plugin))}:Own'; every vote"):
        await vote()


def test_what_a_plugin_prints_is_not_in_the_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "print('while loading')\nfrom elicit import ChoiceOutcome, Vote\nclass Own:\n"
        "    def begin(self, name, items, pairs, folder): self.name = name; print('begins')\n"
        "    async def judge(self, query):\n        print('judges')\n"
        "        return Vote(query.a, query.b, ChoiceOutcome('a'), self.name)\n"
    )
    study, _ = make_study(tmp_path, code, KINDS["judge"][1])
    status, out, err = command("run", str(study), "--json", "--votes", "2", capsys=capsys)
    assert status == 0
    assert json.loads(out)["votes"] == 2
    assert all(word in err for word in ("while loading", "begins", "judges"))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("class Own:\n    def select(self) return 1\n", "line 2"),
        ("import nowhere_to_be_found\n", "line 1"),
        ("raise SystemExit\n", "SystemExit"),
        ("class Other: pass\n", "it has: Other"),
        ("class Own: pass\n", "no method 'select'"),
        ("class Own:\n    def __init__(self): self.x\n    def select(self): pass\n", "line 2"),
        ("class Own:\n    def __init__(self, needed): pass\n    def select(self): pass\n", "needed"),
    ],
)
def test_a_file_that_does_not_load_says_why(
    code: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = tmp_path / "own.py"
    plugin.write_text(code)
    (tmp_path / "items.csv").write_text("text\none\ntwo\n")
    items = ["--items", str(tmp_path / "items.csv"), "--selector", f"{plugin}:Own"]
    command("init", str(tmp_path / "study"), *items, capsys=capsys)
    status, _, err = command("plan", str(tmp_path / "study"), "--votes", "2", "--studies", "2", capsys=capsys)
    if status == 0:  # a forecast needs no selector
        status, _, err = command("replay", str(tmp_path / "study"), "--selector", f"{plugin}:Own", capsys=capsys)
    assert status == 2
    assert err.count("\n") == 1
    assert said in err


def test_a_file_must_be_python(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("class Own: pass")
    with pytest.raises(elicit.BadInputError, match=r"must end in \.py"):
        elicit.Engine(n_items=3, selector=f"{tmp_path / 'own.txt'}:Own")


def test_a_dataclass_in_a_file_of_its_own_loads(tmp_path: Path) -> None:
    plugin = tmp_path / "own.py"
    plugin.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom elicit import Pick\n"
        "@dataclass\nclass Own:\n    score: float = 1.0\n"
        "    def select(self, posterior, votes, candidates, k, rng): return [Pick(0, 1, self.score, 1.0)]\n"
    )
    assert elicit.Engine(n_items=2, selector=f"{plugin}:Own", selector_options={"score": 3.0}).ask().score == 3.0


@pytest.mark.parametrize("how", ["def", "async def"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_plugin_that_never_gives_way_can_be_stopped(how: str, number: signal.Signals, tmp_path: Path) -> None:
    blocks = "open(__file__ + '.here', 'w').close()\n        while True: pass"
    if how == "def":
        code = f"class Own:\n    def select(self, posterior, votes, candidates, k, rng):\n        {blocks}\n"
        study, plugin = make_study(tmp_path, code, KINDS["selector"][1])
        spec = study / "study.toml"
        spec.write_text(
            spec.read_text() + '\n[[judges]]\nname = "s"\nkind = "simulated"\noptions = { utility = "meta.u" }\n'
        )
    else:
        code = f"class Own:\n{REST['judge']}\n    async def judge(self, query):\n        {blocks}\n"
        study, plugin = make_study(tmp_path, code, KINDS["judge"][1])
    process = subprocess.Popen(
        [sys.executable, "-m", "elicit", "run", str(study)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # A shell's background job ignores interrupts, and so would what it starts.
        preexec_fn=lambda: [signal.signal(n, signal.SIG_DFL) for n in (signal.SIGINT, signal.SIGHUP)] and None,
    )
    try:
        until = time.monotonic() + 120
        while not Path(f"{plugin}.here").exists() and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 3
    assert "stopped" in err
    assert "saved" in err
    assert "Traceback" not in err


def test_secrets_stay_out_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret-1")
    code = (
        "import os\nclass Own:\n    def select(self, posterior, votes, candidates, k, rng):\n"
        "        raise ValueError(os.environ['SOME_API_KEY'] + ' Authorization: Bearer abc.def token=tok123')\n"
    )
    study, _ = make_study(tmp_path, code, KINDS["selector"][1])
    spec = study / "study.toml"
    spec.write_text(
        spec.read_text() + '\n[[judges]]\nname = "s"\nkind = "simulated"\noptions = { utility = "meta.u" }\n'
    )
    with pytest.raises(SystemExit):
        cli.main(["run", str(study), "--votes", "1"])
    log = (study / "elicit.log").read_text()
    assert "ValueError" in log
    assert not any(secret in log for secret in ("sk-very-secret-1", "abc.def", "tok123"))


EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("code", EXAMPLES, ids=lambda code: re.findall(r"class (\w+)", code)[0])
def test_the_examples_work_as_printed(code: str, tmp_path: Path) -> None:
    (name,) = re.findall(r"^class (\w+)", code, re.MULTILINE)
    plugin = tmp_path / "example.py"
    plugin.write_text(code)
    own = f"{plugin}:{name}"
    if "Acquisition" in code:
        engine = elicit.Engine(n_items=5, selector=own)
        queries = engine.ask(10)
        assert len({(query.a, query.b) for query in queries}) == 10
    elif "def judge" in code:
        study, _ = make_study(tmp_path, code, KINDS["judge"][1].replace("{}", own))
        with pytest.raises(SystemExit) as end:
            cli.main(["run", str(study), "--votes", "3"])
        assert end.value.code == 0
        with elicit.Study.open(study, writable=False) as opened:
            assert len(opened.state.votes) == 3
    else:
        import asyncio

        import numpy as np

        from elicit.plugins import registry
        from elicit.tuning.protocol import Candidate, Pool

        made = registry.plugin("proposer", own)
        made.begin(None)
        pool = Pool("task", (Candidate(0, "Name it: {input}", 0.0, 1.0, 1.0, 0),), (), ())
        (proposal,) = asyncio.run(made.propose(pool, 1, np.random.default_rng(0)))
        assert proposal.text == "Please. Name it: {input}"


def test_a_fault_of_ours_is_told_and_logged(tmp_path: Path) -> None:

    code = (
        "import studies.study\ndef fail(*_, **__): raise RuntimeError('unforeseen')\nstudies.study.Study.open = fail\n"
    )
    study, _ = make_study(tmp_path, "class Own: pass", "#")
    main = f"{code}\nfrom elicit.cli import main\nmain(['status', {str(study)!r}])"
    done = subprocess.run([sys.executable, "-c", main], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "fault of elicit" in done.stderr
    assert "RuntimeError: unforeseen" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in (study / "elicit.log").read_text()


def test_a_command_called_in_a_program_leaves_its_signals_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    command("doctor", "--json", capsys=capsys)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


@pytest.mark.parametrize("body", ["raise SystemExit(3)", "1 / 0", "return None", "return 'a'", "return float('nan')"])
def test_a_signals_fault_names_its_line(body: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(f"def own(response, reference):\n    {body}\n")
    name = f"{tmp_path / 'own.py'}:own"
    with pytest.raises(elicit.BadInputError, match=r"signal '.*own\.py:own'.* line [12]\b"):
        signals_of((name,))[name]("a", "b", set())


@pytest.mark.parametrize(("former", "name"), [("one_by_one", "greedy_batch"), ("highest", "argmax_pick")])
def test_selectors_outside_the_tree_may_go_by_former_names(former: str, name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"elicit.{name} now"):
        assert getattr(elicit, former) is getattr(elicit, name)
