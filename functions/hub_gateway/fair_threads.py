"""Share a few threads fairly among groups of calls, so that slow calls leave room for others."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

type _Call = Callable[[], None]


class FairThreads:
    """Run calls on at most `threads` threads. Threads may share it.

    Each call belongs to a share, such as a rollout. With n shares at work, none begins calls on
    more than 1/(n + 1) of the threads, so that another share finds free threads at once.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, name)
        self._threads = threads
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, deque[_Call]] = {}
        self._running: Counter[Hashable] = Counter()

    def call_for_each(
        self, device_ids: Sequence[str], call: Callable[[str], None], share: Hashable = None
    ) -> None:
        """Call `call` for each device; raise its first error once all calls have ended.

        Without a `share`, these calls are a share of their own.
        """
        if len(device_ids) == 1:  # the caller's own thread has a connection too
            call(device_ids[0])
            return
        errors: list[BaseException] = []

        def run(device_id: str) -> None:
            try:
                call(device_id)
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                errors.append(error)

        calls = [partial(run, device_id) for device_id in device_ids]
        self.run_all(calls, object() if share is None else share)
        if errors:
            raise errors[0]

    def run_all(self, calls: Iterable[_Call], share: Hashable) -> None:
        """Run calls, and wait for all of them. A call must not raise an error."""
        waiting = list(calls)
        left = threading.Semaphore(0)

        def counted(call: _Call) -> _Call:
            def run() -> None:
                try:
                    call()
                finally:
                    left.release()

            return run

        with self._lock:
            if waiting:  # no call would remove an empty share
                self._waiting.setdefault(share, deque()).extend(map(counted, waiting))
        self._begin_calls()
        for _ in waiting:
            left.acquire()

    def _begin_calls(self) -> None:
        with self._lock:
            while (share := self._next_share()) is not None:
                call = self._waiting[share].popleft()
                self._running[share] += 1
                self._pool.submit(self._run, share, call)

    def _next_share(self) -> Hashable | None:
        """Return the share with the fewest running calls of those that may begin one."""
        waiting = [share for share, calls in self._waiting.items() if calls]
        limit = max(1, self._threads // (len({*waiting, *+self._running}) + 1))
        allowed = [share for share in waiting if self._running[share] < limit]
        if not allowed or self._running.total() >= self._threads:
            return None
        return min(allowed, key=self._running.__getitem__)

    def _run(self, share: Hashable, call: _Call) -> None:
        try:
            call()
        finally:
            with self._lock:
                self._running[share] -= 1
                if not self._running[share]:
                    del self._running[share]
                    if not self._waiting.get(share):
                        self._waiting.pop(share, None)
            self._begin_calls()
