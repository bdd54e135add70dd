"""A process raises its own limit of open files as far as the system allows."""

import subprocess
import sys

CODE = """
import resource
from simulator.open_files import allow_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
print(allow_open_files(150), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
print(allow_open_files(300), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
print(allow_open_files(50), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_the_limit_is_raised_as_far_as_the_system_allows() -> None:
    command = [sys.executable, "-c", CODE]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert told.splitlines() == ["True 150", "False 150", "True 150"]
