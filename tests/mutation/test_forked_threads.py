"""Check that tests which use a pool of threads run in the forked process of a mutant."""

import threading
from concurrent.futures import ThreadPoolExecutor

from tests.mutation.__main__ import forget_threads


def test_a_pool_starts_new_threads_after_its_own_are_gone() -> None:
    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(threading.current_thread).result()
        forget_threads()
        pool.submit(int).result()
        others = [item for item in vars(pool)["_threads"] if item is not before]
        assert len(others) == 1
        vars(pool)["_threads"].add(before)  # so that the pool ends it, too
