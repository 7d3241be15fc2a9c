"""Settings every test runs under."""

import os
from collections.abc import Generator

# Tests run side by side; threads that spin for each other's work make all of them slow. Set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.left_over"]

# A busy machine is slow at any moment: how long an example takes says nothing.
settings.register_profile("default", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("default"), max_examples=1000)  # --hypothesis-profile
# On CI the same examples every time, so that a red run is about the change; at home new ones, so that they find more.
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Names that fit a line and are the same in every process: packed bytes can hold the time they were packed at, and
    workers that name tests differently run none."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 120) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What is kept of a test's output can be sent from one process to another, also where the product logs a text with
    half a surrogate pair."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
