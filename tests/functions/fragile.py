"""A process that dies at a chosen call."""

from typing import Any


class CrashError(BaseException):
    """The process dies: nothing in the cloud side may catch it."""


class Fragile:
    """A port that dies right before, or right after, its call number `at`."""

    def __init__(self, port: Any, at: int, *, after: bool) -> None:
        self._port = port
        self.calls = 0
        self._at = at
        self._after = after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*arguments: Any, **more: Any) -> Any:
            self.calls += 1
            now = self.calls == self._at
            if now and not self._after:
                raise CrashError
            result = method(*arguments, **more)
            if now:
                raise CrashError
            return result

        return call
