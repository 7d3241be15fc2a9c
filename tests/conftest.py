"""Settings every test runs under."""

import os

# Tests run side by side; threads that spin for each other's work make all of them slow. Set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# On CI the same examples every time, so that a red run is about the change; at home new ones, so that they find more.
settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
