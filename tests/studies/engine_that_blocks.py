"""An engine process whose methods block its loop, or never answer, as a plug-in's can."""

import asyncio
import sys
import time
from pathlib import Path

from adapters import rpc


class Blocking:
    async def block(self) -> None:
        time.sleep(600)

    async def sleep(self) -> None:
        await asyncio.sleep(600)

    async def add(self, a: int, b: int) -> int:
        return a + b

    async def close(self) -> None:
        await asyncio.sleep(600)


if __name__ == "__main__":
    rpc.ALONE = 1.0
    rpc.answer(Path(sys.argv[1]), Blocking)
