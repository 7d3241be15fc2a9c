"""The engine process on this machine, as screens talk to it. Loads no torch."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

from adapters.rpc import Caller
from elicit.service.views import View
from elicit.service.voting import TuningService

T = TypeVar("T")


class LocalService:
    """`TuningService`, and with it `StudyService`, of a study that an engine process of its own serves; made with
    `start`.

    Every method of the protocol is a call of that name, with the arguments and the result that the protocol says: here
    are those alone that are more. All raise BadInputError with the engine's sentence, and ConnectionError when the
    engine is gone.
    """

    def __init__(self, engine: Caller) -> None:
        self._engine = engine

    @staticmethod
    async def start(folder: Path, judge: str = "") -> TuningService:
        """Start the engine on a study.

        Raises BadInputError where the study cannot be opened.
        """
        return cast(TuningService, LocalService(await Caller.start("studies.local.main", folder, judge)))

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        signature, kind = _signature_of(name)

        def call(*arguments: Any, **named: Any) -> Awaitable[Any]:
            given = signature.bind(self, *arguments, **named)
            given.apply_defaults()
            return self._engine.call(kind, name, *given.args[1:])

        return call

    async def show(self, view: View[Any, T]) -> T:
        return await self._engine.call(view.kind, "show_named", view.name)

    async def close(self) -> None:
        """End the engine process; everything is on disk already."""
        await self._engine.close()


@cache
def _signature_of(name: str) -> tuple[inspect.Signature, Any]:
    """How the protocol has a call, and the kind of its result. Raises AttributeError for what is no call of it."""
    call = getattr(TuningService, name)
    return inspect.signature(call), get_type_hints(call)["return"]
