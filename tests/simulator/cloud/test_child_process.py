"""Starting, watching and stopping one child process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.cloud.child_process import ChildProcess, ChildProcessOptions
from simulator.cloud.errors import ProcessError
from simulator.cloud.reaper import Reaper
from simulator.paths import REPOSITORY
from tests.simulator.cloud.processes import is_alive
from tests.waiting import eventually

READY = "print('process ready', flush=True)"
WAIT = "import time; time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.fixture
def reaper() -> Iterator[Reaper]:
    reaper = Reaper()
    yield reaper
    reaper.close()


def make_process(reaper: Reaper, folder: Path, *lines: str, **environment: str) -> ChildProcess:
    return ChildProcess(
        ChildProcessOptions(
            name="the process",
            command=[sys.executable, "-c", "\n".join(lines)],
            ready="process ready",
            log=folder / "process.log",
            environment=environment,
        ),
        reaper,
    )


def test_a_process_is_ready_once_its_log_has_the_ready_line(reaper: Reaper, tmp_path: Path) -> None:
    process = make_process(reaper, tmp_path, "print('starting')", READY, WAIT)

    process.wait_until_ready(20)
    process.check()
    process.stop()

    assert not is_alive(process.pid)


def test_the_log_of_an_earlier_run_does_not_make_a_process_ready(
    reaper: Reaper, tmp_path: Path
) -> None:
    (tmp_path / "process.log").write_text("process ready\n")
    process = make_process(reaper, tmp_path, WAIT)

    with pytest.raises(ProcessError, match="not ready within"):
        process.wait_until_ready(0.2)

    process.stop()


def test_a_process_that_ends_early_is_reported_with_the_end_of_its_log(
    reaper: Reaper, tmp_path: Path
) -> None:
    lines = "for number in range(100): print(f'line {number}')"
    process = make_process(reaper, tmp_path, lines, "raise SystemExit(3)")

    with pytest.raises(ProcessError, match="the process ended with code 3") as raised:
        process.wait_until_ready(20)

    process.stop()
    assert "line 99" in str(raised.value)
    assert "line 50" not in str(raised.value)


def test_a_process_that_ends_later_is_noticed(reaper: Reaper, tmp_path: Path) -> None:
    process = make_process(reaper, tmp_path, READY, WAIT)
    process.wait_until_ready(20)
    os.kill(process.pid, signal.SIGKILL)

    def has_noticed() -> bool:
        try:
            process.check()
        except ProcessError:
            return True
        return False

    eventually(has_noticed, what="the end")
    process.stop()


def test_a_killed_process_can_be_started_again_with_its_log_kept(
    reaper: Reaper, tmp_path: Path
) -> None:
    process = make_process(reaper, tmp_path, READY, WAIT)
    process.wait_until_ready(20)
    first = process.pid
    os.kill(first, signal.SIGKILL)

    process.restart()

    process.wait_until_ready(20)
    assert process.pid != first
    assert (tmp_path / "process.log").read_text().count("process ready") == 2
    process.stop()


def test_a_process_that_ignores_sigterm_is_killed(reaper: Reaper, tmp_path: Path) -> None:
    process = make_process(reaper, tmp_path, STUBBORN, READY, WAIT)
    process.wait_until_ready(20)

    process.stop(seconds=0.2)

    assert not is_alive(process.pid)


def test_children_of_a_process_end_with_it(reaper: Reaper, tmp_path: Path) -> None:
    child = f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', {WAIT!r}])"
    process = make_process(reaper, tmp_path, child, "print(c.pid, flush=True)", READY, WAIT)
    process.wait_until_ready(20)
    child_pid = int((tmp_path / "process.log").read_text().split()[0])

    process.stop()

    eventually(lambda: not is_alive(child_pid), what="the child's end")


def test_a_process_has_its_environment(reaper: Reaper, tmp_path: Path) -> None:
    process = make_process(
        reaper, tmp_path, "import os; print(os.environ['GREETING'])", READY, WAIT, GREETING="hello"
    )
    process.wait_until_ready(20)
    process.stop()

    assert "hello" in (tmp_path / "process.log").read_text()


SUPERVISOR = """
import sys
from pathlib import Path
from simulator.cloud.reaper import Reaper
from simulator.cloud.child_process import ChildProcess, ChildProcessOptions
process = ChildProcess(
    ChildProcessOptions(
        name="process",
        command=[sys.executable, "-c", sys.argv[2]],
        ready="process ready",
        log=Path(sys.argv[1]),
        environment={},
    ),
    Reaper(),
)
process.wait_until_ready()
print(process.pid, flush=True)
process._process.wait()
"""


def test_processes_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    lines = f"{STUBBORN}\n{READY}\n{WAIT}"
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path / "process.log"), lines],
        cwd=REPOSITORY,
        text=True,
        stdout=subprocess.PIPE,
    )
    assert supervisor.stdout is not None
    process_pid = int(supervisor.stdout.readline())

    supervisor.kill()
    supervisor.communicate()

    eventually(lambda: not is_alive(process_pid), what="the process's end")
