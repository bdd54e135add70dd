"""Kills and restarts processes of a test's cloud, and runs a second host."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from simulator.cloud.child_process import ChildProcess
from simulator.cloud.local_cloud import LocalCloud
from simulator.cloud.reaper import Reaper
from tests.ports import free_ports


def kill(process: ChildProcess) -> None:
    """Kill a process and its children, as a crash would."""
    os.killpg(process.pid, signal.SIGKILL)


def start_again(process: ChildProcess) -> None:
    process.restart()
    process.wait_until_ready()


@contextmanager
def second_host(cloud: LocalCloud) -> Iterator[ChildProcess]:
    """Run another host of the app on the same storage account, for the length of the block."""
    (port,) = free_ports(1, cloud.options.address)
    command = cloud.host.options.command
    at = command.index("--port") + 1
    options = replace(
        cloud.host.options,
        command=[*command[:at], str(port), *command[at + 1 :]],
        log=cloud.options.logs / "second-host.log",
    )
    with closing(Reaper()) as guard:
        process = ChildProcess(options, guard)
        try:
            process.wait_until_ready()
            yield process
        finally:
            process.stop()
