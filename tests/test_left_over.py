"""The check of the whole run that no process outlives the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LEAVES = """
import subprocess, sys

def test_that_leaves_a_process():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    child.returncode = 0  # so that nobody warns of it

def test_that_leaves_an_orphan():
    subprocess.run(["sh", "-c", f"{sys.executable} -c 'import time; time.sleep(120)' >/dev/null 2>&1 &"], check=True)
"""
RUN = """
import sys, pytest
from tests import left_over
left_over.PATIENCE = 3.0
sys.exit(pytest.main(sys.argv[1:], [left_over]))
"""
ENDS = """
import subprocess, sys

def test_that_waits():
    subprocess.run([sys.executable, "-c", "pass"], check=True)
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_process_that_outlives_its_test_fails_the_run(tmp_path: Path, workers: str) -> None:
    for code, status in ((LEAVES, 1), (ENDS, 0)):
        (tmp_path / "test_it.py").write_text(code)
        options = ["-n", workers, "-c", os.devnull, "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
        kept = {name: value for name, value in os.environ.items() if name != "ELICIT_TEST_RUN"}
        command = [sys.executable, "-c", RUN, *options, str(tmp_path / "test_it.py")]
        done = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=300)
        assert done.returncode == status, done.stdout + done.stderr
        for name in ("test_that_leaves_a_process", "test_that_leaves_an_orphan"):
            assert (f"test_it.py::{name}" in done.stdout.partition("processes left over")[2]) == (status == 1)
