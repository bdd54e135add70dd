"""Simulate a process that crashes at a chosen call, or that another one overtakes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any


class CrashError(BaseException):
    """The process crashes. The backend must not catch it."""


class Fragile:
    """Wrap a port, or several in one object, and crash at the call number `at`, from 1.

    With `after`, the call is carried out before the crash.
    """

    def __init__(
        self, port: Any, at: int, *, after: bool, numbers: Iterator[int] | None = None
    ) -> None:
        self._port = port
        self._at = at
        self._after = after
        self._numbers = numbers or count(1)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if not callable(value):
            return Fragile(value, self._at, after=self._after, numbers=self._numbers)

        def call(*arguments: Any, **more: Any) -> Any:
            is_last = next(self._numbers) == self._at
            if is_last and not self._after:
                raise CrashError
            result = value(*arguments, **more)
            if is_last:
                raise CrashError
            return result

        return call


@contextmanager
def before(target: Any, name: str, other: Callable[[], object], number: int = 1) -> Iterator[None]:
    """Let `other` run right before this call of a method."""
    method, calls = getattr(target, name), count(1)

    def racing(*arguments: Any) -> Any:
        if next(calls) == number:
            setattr(target, name, method)
            other()
        return method(*arguments)

    setattr(target, name, racing)
    yield
    setattr(target, name, method)
