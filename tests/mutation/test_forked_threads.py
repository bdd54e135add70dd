"""Check that tests which use a pool of threads run in the forked process of a mutant."""

import subprocess
import sys

# In a process of its own: every pool gets new threads, and one whose threads are still there, such
# as that of the device SDK with its single thread, then has too many.
SCRIPT = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from tests.mutation.__main__ import forget_threads

pool = ThreadPoolExecutor(1)
pool.submit(int).result()
if not (child := os.fork()):
    forget_threads()
    os._exit(pool.submit(lambda: 7).result(20))
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_pool_starts_new_threads_in_a_fork() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT], check=False)
    assert done.returncode == 7
