"""Run by the Python of a peer's environment: `exchange.py DRIVER` plays a driver against a bench, by JSON lines.

The bench's first line is the setup. A driver is a file with `play(setup, compare)`, which calls `compare(a, b, best)`
for every pair of rows it wants compared and gets whether a won; `best()` gives the row it recommends. Each comparison
goes out as {"a", "b", "cpu"}, where cpu is the seconds of CPU since the outcome before; the answers are {"won": bool},
or "best" any number of times before it, which goes out as a row. The end of the input ends the process.
"""

from __future__ import annotations

import json
import os
import queue
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any


def main(driver: str) -> None:
    """Play the driver until the bench ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the bench
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a package prints is no reply
    lines: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    setup = lines.get()
    play = runpy.run_path(driver)["play"]
    begun = time.process_time()

    def reply(value: Any) -> None:
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    def compare(a: int, b: int, best: Callable[[], int]) -> bool:
        nonlocal begun
        reply({"a": int(a), "b": int(b), "cpu": time.process_time() - begun})
        while (request := lines.get()) == "best":
            reply(int(best()))
        begun = time.process_time()
        return bool(request["won"])

    play(setup, compare)


def _listen(lines: queue.SimpleQueue[Any]) -> None:
    """Pass the bench's lines on; at their end, end the process at once, whatever it computes."""
    for line in sys.stdin:
        lines.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
