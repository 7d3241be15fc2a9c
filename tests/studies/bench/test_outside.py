"""Peers in environments of their own: votes go round through a real process, a process that dies is said so, none is
left behind, and an environment is made once."""

import os
import select
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from elicit.cli import _code
from elicit.types import BadInputError
from studies.bench import methods, outside
from studies.bench.environments import environment
from studies.bench.outside import Outside
from studies.bench.peers import PeerPair
from studies.simulation.simulate import Method, luck_of, simple_regret, simulate

Out = pytest.CaptureFixture[str]
U = np.linspace(-2, 2, 7)

# Asks its leader against one after the other, and takes a hundredth of a second of CPU for each vote and each answer.
LEADER = """
import time

def spend():
    end = time.process_time() + 0.01
    while time.process_time() < end:
        pass

def play(setup, compare):
    print("a package that talks")
    wins = [0] * setup["n_items"]

    def best():
        spend()
        return wins.index(max(wins))

    t = 0
    while True:
        a, b = wins.index(max(wins)), t % len(wins)
        t += 1
        if a != b:
            wins[a if compare(a, b, best) else b] += 1
            spend()
"""


class Leader:
    """What LEADER does, in this process."""

    def __init__(self) -> None:
        self.wins, self.t = [0] * len(U), 0

    def ask(self) -> PeerPair:
        if self.best() == self.t % len(U):
            self.t += 1
        return PeerPair(self.best(), self.t % len(U))

    def tell(self, a: int, b: int, outcome: str) -> None:
        self.wins[a if outcome == "a" else b] += 1
        self.t += 1

    def best(self) -> int:
        return self.wins.index(max(self.wins))


@pytest.fixture
def played(tmp_path: Path) -> Callable[[str], Outside]:
    """Plays the text of a driver under this Python."""

    def play(text: str) -> Outside:
        driver = tmp_path / "driver.py"
        driver.write_text(text)
        return Outside("mine", Path(sys.executable), driver, {"n_items": len(U)})

    return play


def test_a_driver_is_a_method_like_one_in_this_process(played: Callable[[str], Outside]) -> None:
    method = played(LEADER)
    ran, twin = simulate(method, U, 40, luck_of(0)), simulate(Leader(), U, 40, luck_of(0))
    assert (ran.pairs, ran.recommended) == (twin.pairs, twin.recommended)
    assert min(ran.cpu) >= 0.01
    assert sum(ran.cpu) == pytest.approx(method.process_time(), abs=0.5)
    before = method.process_time()
    assert method.best() == ran.recommended[-1]
    assert method.process_time() == before  # as for every method, recommending is not counted


def test_a_driver_ends_with_its_method(played: Callable[[str], Outside]) -> None:
    method = played(LEADER)
    pid = method.pid
    os.kill(pid, 0)
    del method
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import a_package_that_is_not_there", "No module named 'a_package_that_is_not_there'"),
        ("def play(setup, compare):\n    compare(0, 1, max)\n    raise ValueError('lost')", "ValueError: lost"),
        ("def play(setup, compare):\n    compare(0, 1, max)", "exit code 0"),
        ("import os\ndef play(setup, compare):\n    os._exit(7)", "exit code 7"),
    ],
)
def test_a_driver_that_ends_is_one_sentence(text: str, said: str, played: Callable[[str], Outside]) -> None:
    with pytest.raises(BadInputError, match="method 'mine' ended in the middle of a run") as error:
        simulate(played(text), U, 5, luck_of(0))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


# Keeps a pipe open for as long as it lives, and computes for ever at its first vote.
BUSY = """
def play(setup, compare):
    alive = open(setup["pipe"], "w")
    alive.write("x")
    alive.flush()
    compare(0, 1, lambda: 0)
    while True:
        pass
"""
BENCH = """
import signal
import sys
from pathlib import Path
from studies.simulation.jobs import Job, RunPlan, measure
from studies.bench.outside import Outside
from studies.simulation.simulate import duel

def work(driver, pipe):
    duel(Outside("busy", Path(sys.executable), Path(driver), {"pipe": pipe}), lambda a, b: 0.5, 9, lambda t: 0.5)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores for what it runs in the background
    driver, pipe, workers = sys.argv[1:]
    measure("b", {}, [Job({"n": n}, work, (driver, pipe)) for n in range(2)], RunPlan(int(workers)))
"""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_running(workers: int, how: signal.Signals, tmp_path: Path) -> None:
    driver, bench, pipe = tmp_path / "busy.py", tmp_path / "bench.py", tmp_path / "pipe"
    driver.write_text(BUSY)
    bench.write_text(BENCH)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    root = str(Path(__file__).parents[3])
    command = [sys.executable, str(bench), str(driver), str(pipe), str(workers)]
    running = subprocess.Popen(
        command, start_new_session=True, stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": root}
    )
    with running:
        begun = 0
        while begun < workers:
            assert running.poll() is None
            with suppress(BlockingIOError):
                begun += len(os.read(reader, 1))
            time.sleep(0.01)
        if how == signal.SIGINT:
            os.killpg(running.pid, how)  # as the terminal does: to the bench and to all it started
        else:
            running.kill()
        assert running.wait() != 0
    assert select.select([reader], [], [], 60)[0]
    assert os.read(reader, 1) == b""  # nobody holds the other end any more
    os.close(reader)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no index to install from."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    return tmp_path / "cache" / "elicit" / "peers"


def wheel(folder: Path, version: str) -> str:
    """The path of a wheel of a package with nothing but its version."""
    file, about = folder / f"tiny-{version}-py3-none-any.whl", f"tiny-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny.py", f"version = {version!r}")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return str(file)


def version_in(python: Path) -> str:
    """The version of the package as that Python finds it."""
    command = [str(python), "-I", "-c", "import tiny; print(tiny.version)"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_an_environment_is_made_once_and_again_when_it_must(cache: Path, tmp_path: Path, capsys: Out) -> None:
    one, two = wheel(tmp_path, "1.0"), wheel(tmp_path, "2.0")
    python = environment("tiny", [one])
    assert python.is_relative_to(cache)
    assert version_in(python) == "1.0"
    assert capsys.readouterr().err.count("installing") == 1
    assert environment("tiny", [one]) == python
    assert capsys.readouterr().err == ""
    assert version_in(environment("tiny", [two])) == "2.0"
    (cache / "tiny" / "ready").unlink()  # as when it was interrupted
    assert version_in(environment("tiny", [two])) == "2.0"
    assert capsys.readouterr().err.count("installing") == 2


def test_an_environment_is_made_without_uv(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert version_in(environment("tiny", [wheel(tmp_path, "1.0")])) == "1.0"


def test_two_benches_at_once_make_an_environment_once(cache: Path, tmp_path: Path) -> None:
    code = f"from studies.bench.environments import environment; environment('tiny', [{wheel(tmp_path, '1.0')!r}])"
    running = [
        subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
        for _ in range(2)
    ]
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert "".join(said).count("installing") == 1


def test_what_cannot_be_installed_is_one_sentence(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    matrices = tmp_path / "matrices.json"
    matrices.write_text('{"matrices": [{"name": "even", "p_win": [[0.5, 0.5], [0.5, 0.5]]}]}')
    monkeypatch.setitem(outside.REQUIREMENTS, "choix", ("no-such-peer==1.0",))
    assert _code(["bench", "dueling", "--matrices", str(matrices), "--methods", "random,choix"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1].startswith("elicit: no-such-peer==1.0 could not be installed into ")
    assert "leave its methods out" in said.err.splitlines()[-1]
    assert not (cache / "choix" / "ready").exists()


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(BadInputError, match="set XDG_CACHE_HOME to a folder that can be written"):
        environment("tiny", ["tiny"])


def test_every_outside_peer_has_requirements_and_a_driver() -> None:
    packages = {name.partition("_")[0] for name in methods.OUTSIDE}
    assert packages == set(outside.REQUIREMENTS)
    assert all((outside.DRIVERS / f"{package}.py").is_file() for package in packages)


@pytest.mark.skipif(
    not os.environ.get("ELICIT_TEST_PEERS"), reason="installs packages: set ELICIT_TEST_PEERS=1 to have it run"
)
@pytest.mark.parametrize("name", methods.OUTSIDE)
def test_outside_peers_are_reproducible_and_learn(name: str) -> None:
    X = U[:, None] * [1.0, -1.0, 0.5]

    def make() -> Method:
        return methods.make(name, X if name in methods.NEED_FEATURES else None, len(U), 3, 25)

    methods.check([name], features=True)
    runs = [simulate(make(), 4 * U, 400 if name.startswith("duelpy") else 25, luck_of(1)) for _ in range(2)]
    assert (runs[0].pairs, runs[0].recommended) == (runs[1].pairs, runs[1].recommended)
    assert min(runs[0].cpu) > 0
    assert simple_regret(U, runs[0].recommended[-1]) < 0.5
