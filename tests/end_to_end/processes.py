"""Parts of a test's cloud: killed, started again, and one more of them."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from simulator.cloud.child_process import ChildProcess
from simulator.cloud.local_cloud import LocalCloud
from simulator.cloud.reaper import Reaper
from tests.ports import free_ports


def kill(part: ChildProcess) -> None:
    """As a crash would, with all that it started."""
    os.killpg(part.pid, signal.SIGKILL)


def start_again(part: ChildProcess) -> None:
    part.restart()
    part.wait_until_ready()


@contextmanager
def second_host(cloud: LocalCloud) -> Iterator[ChildProcess]:
    """Another host of the same app on the same storage account, for the length of the block."""
    (port,) = free_ports(1, cloud.options.address)
    command = cloud.host.options.command
    at = command.index("--port") + 1
    options = replace(
        cloud.host.options,
        command=[*command[:at], str(port), *command[at + 1 :]],
        log=cloud.options.logs / "second-host.log",
    )
    with closing(Reaper()) as guard:
        part = ChildProcess(options, guard)
        try:
            part.wait_until_ready()
            yield part
        finally:
            part.stop()
