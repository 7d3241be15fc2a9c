"""Settings every test runs under."""

import os

# Tests run side by side; threads that spin for each other's work make all of them slow. Set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
