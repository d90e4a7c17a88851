"""An event loop whose time is virtual and whose order is the same in every process."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar

from anyio._backends import _asyncio as anyio_on_asyncio

from tests.sim.life import Killed

T = TypeVar("T")


class Stuck(Exception):
    """Nobody will ever do anything again, and the simulation has not ended."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes only when everybody waits, and then as far as the first who waits for a moment."""

    def __init__(self) -> None:
        self._virtual_seconds = 0.0
        self._numbers = count(1)
        super().__init__(_Waiting(self))
        self.set_task_factory(self._numbered)

    def time(self) -> float:
        return self._virtual_seconds

    def pass_by(self, seconds: float) -> None:
        self._virtual_seconds += seconds

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # because asyncio's own declaration has no future of a known type
        """Do the work at once, in this thread; who asked for it hears of it only after the others had their turn."""
        done: asyncio.Future[T] = self.create_future()
        try:
            result = func(*args)
        except BaseException as error:  # noqa: BLE001  # because it is handed to whoever asked, as an executor does
            self.call_soon(_give, done.set_exception, done, error)
        else:
            self.call_soon(_give, done.set_result, done, result)
        return done

    def _numbered(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return _NumberedTask(next(self._numbers), coro, loop=loop, **options)


def _give(give: Callable[[Any], None], future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        give(value)


class _NumberedTask(asyncio.Task[Any]):
    """A task with a hash of its own: sets of tasks are then gone through in the same order everywhere."""

    def __init__(self, number: int, coro: Generator[Any, None, Any] | Coroutine[Any, Any, Any], **options: Any) -> None:
        self._number = number
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number


class _Waiting(selectors.SelectSelector):
    """Waits for no file: there is none. It lets the time pass instead."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("everybody waits, and nobody for a moment in time")
        if timeout > 0:
            self._loop.pass_by(timeout)
        return []


_scope_numbers = count(1)


class _NumberedScope(anyio_on_asyncio.CancelScope):
    """A cancel scope with a hash of its own, for the same reason."""

    __slots__ = ("_number",)

    def __init__(self, **options: Any) -> None:
        self._number = next(_scope_numbers)
        super().__init__(**options)

    def __hash__(self) -> int:
        return self._number


@contextmanager
def _scopes_are_numbered() -> Iterator[None]:
    """Let anyio's sets of cancel scopes be gone through in the order in which the scopes were made."""
    global _scope_numbers
    _scope_numbers = count(1)
    kind = anyio_on_asyncio.CancelScope
    setattr(anyio_on_asyncio, "CancelScope", _NumberedScope)  # noqa: B010  # because mypy refuses to see it replaced
    try:
        yield
    finally:
        setattr(anyio_on_asyncio, "CancelScope", kind)  # noqa: B010


def _be_told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Pass over what nobody asked the result of because the process was killed; tell of everything else."""
    if not isinstance(context.get("exception"), (Killed, BaseExceptionGroup)):
        loop.default_exception_handler(context)


def run_virtually(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run to the end in a loop of its own, beginning at second 0."""
    loop = VirtualLoop()
    loop.set_exception_handler(_be_told)
    with _scopes_are_numbered():
        try:
            return loop.run_until_complete(work())
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
