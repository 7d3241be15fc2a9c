"""Settings every test runs under."""

import os

# Tests run side by side; threads that spin for each other's work make all of them slow. Set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.left_over"]

# A busy machine is slow at any moment: how long an example takes says nothing.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# On CI the same examples every time, so that a red run is about the change; at home new ones, so that they find more.
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
