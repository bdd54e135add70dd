"""Let changes of one rollout that wait in the same process be committed together.

The first change is committed at once, in its own thread. Changes that arrive meanwhile wait; the
first of them then commits all of them in order, as far as one write can store them. So a process
never races against itself, and a change that comes alone does not wait.
"""

import copy
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Waiting[T, R]:
    """A change that waits, and how it ended."""

    change: T
    attempts: int = 0  # writes that lost a race
    is_done: bool = False
    result: R | None = None
    error: BaseException | None = None
    woken: threading.Event = field(default_factory=threading.Event)

    def succeed(self, result: R) -> None:
        self.result, self.is_done = result, True

    def fail(self, error: BaseException) -> None:
        self.error, self.is_done = error, True


@dataclass(slots=True)
class _Line[T, R]:
    """The changes of one rollout that wait, in order."""

    leader: int  # the id of the thread that commits
    waiting: deque[Waiting[T, R]] = field(default_factory=deque)


class CommitQueue[T, R]:
    """The changes that wait in this process, by rollout. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, _Line[T, R]] = {}

    def run(self, key: str, change: T, commit: Callable[[Sequence[Waiting[T, R]]], object]) -> R:
        """Commit the change, alone or with others of the same `key`. Return its result.

        `commit` receives changes in order, the first one this or an earlier one. It ends the first
        one at least; those that it does not end wait on. Raises the change's own error.
        """
        own = Waiting[T, R](change)
        with self._lock:
            line = self._lines.get(key)
            if line is None:
                line = self._lines[key] = _Line(threading.get_ident())
                is_leader = True
            else:  # a commit inside a commit cannot wait for itself
                is_leader = line.leader == threading.get_ident()
                if is_leader:
                    line = None
                else:
                    line.waiting.append(own)
        if line is None:
            _commit_alone(own, commit)
        else:
            if not is_leader:
                own.woken.wait()
            if not own.is_done:
                self._lead(key, line, own, commit)
        if own.error is not None:
            raise own.error
        return own.result  # type: ignore[return-value]  # a change without an error has a result

    def _lead(
        self,
        key: str,
        line: _Line[T, R],
        own: Waiting[T, R],
        commit: Callable[[Sequence[Waiting[T, R]]], object],
    ) -> None:
        """Commit until the own change has ended, then let the next waiting change lead."""
        line.leader = threading.get_ident()
        try:
            while not own.is_done:
                with self._lock:
                    group = [own, *line.waiting]
                    line.waiting.clear()
                try:
                    commit(group)
                except BaseException as error:  # noqa: BLE001 - each change raises it itself
                    _fail_all(group, error)
                with self._lock:
                    left = [item for item in group[1:] if not item.is_done]
                    line.waiting.extendleft(reversed(left))
                _wake(item for item in group[1:] if item.is_done)
        finally:
            self._hand_over(key, line)

    def _hand_over(self, key: str, line: _Line[T, R]) -> None:
        with self._lock:
            if not line.waiting:
                del self._lines[key]
                return
            following = line.waiting.popleft()
            line.leader = 0  # no thread, until that one goes on
        following.woken.set()


def _commit_alone[T, R](
    own: Waiting[T, R], commit: Callable[[Sequence[Waiting[T, R]]], object]
) -> None:
    while not own.is_done:
        commit([own])


def _fail_all[T, R](group: Sequence[Waiting[T, R]], error: BaseException) -> None:
    """End each waiting change with the error. The first one gets the object, the others copies."""
    for number, item in enumerate(group):
        if not item.is_done:
            item.fail(copy.copy(error) if number else error)


def _wake[T, R](items: Iterable[Waiting[T, R]]) -> None:
    for item in items:
        item.woken.set()
