"""Fails a run of the tests that leaves processes behind, names them and the tests that started them, and ends them."""

import os
from collections.abc import Iterator

import psutil
import pytest

VARIABLE = "ELICIT_TEST_RUN"
PATIENCE = 15.0
"""Seconds that a process has to end after the last test."""
_left: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    # What a test starts inherits the mark, also where whoever started it is gone; workers keep that of the whole run. A
    # run that a test starts has a mark of its own: with the other's it would end the workers beside it.
    if not hasattr(config, "workerinput"):
        os.environ[VARIABLE] = str(os.getpid())


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return
    _, alive = psutil.wait_procs(list(_marked(os.environ[VARIABLE])), PATIENCE)
    for process in alive:
        _left.append(_described(process))
        process.kill()
    if alive:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _left:
        terminalreporter.section("processes left over", red=True)
        for line in _left:
            terminalreporter.write_line(line)


def _marked(run: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.environ().get(VARIABLE) != run:
                continue
            # Python's own, which ends with whoever it works for.
            if "multiprocessing.resource_tracker" not in " ".join(process.cmdline()):
                yield process
        except psutil.Error:  # it has ended, or is somebody else's
            continue


def _described(process: psutil.Process) -> str:
    try:
        test = process.environ().get("PYTEST_CURRENT_TEST", "no test")
        return f"{process.pid} {' '.join(process.cmdline())[:200]}, started by {test}"
    except psutil.Error:
        return str(process.pid)
