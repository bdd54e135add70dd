"""Starting, watching and ending one child process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.cloud.errors import PartError
from simulator.cloud.guard import Guard
from simulator.cloud.part import Part, PartOptions
from simulator.paths import REPOSITORY
from tests.simulator.cloud.waiting import eventually, is_alive

READY = "print('part ready', flush=True)"
WAIT = "import time; time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.fixture
def guard() -> Iterator[Guard]:
    guard = Guard()
    yield guard
    guard.close()


def make_part(guard: Guard, folder: Path, *lines: str, **environment: str) -> Part:
    return Part(
        PartOptions(
            name="the part",
            command=[sys.executable, "-c", "\n".join(lines)],
            ready="part ready",
            log=folder / "part.log",
            environment=environment,
        ),
        guard,
    )


def test_a_part_is_ready_once_it_says_so(guard: Guard, tmp_path: Path) -> None:
    part = make_part(guard, tmp_path, "print('starting')", READY, WAIT)

    part.wait_until_ready(20)
    part.check()
    part.stop()

    assert not is_alive(part.pid)


def test_the_log_of_an_earlier_run_makes_nothing_ready(guard: Guard, tmp_path: Path) -> None:
    (tmp_path / "part.log").write_text("part ready\n")
    part = make_part(guard, tmp_path, WAIT)

    with pytest.raises(PartError, match="not ready within"):
        part.wait_until_ready(0.2)

    part.stop()


def test_a_part_that_ends_early_is_reported_with_the_end_of_its_log(
    guard: Guard, tmp_path: Path
) -> None:
    lines = "for number in range(100): print(f'line {number}')"
    part = make_part(guard, tmp_path, lines, "raise SystemExit(3)")

    with pytest.raises(PartError, match="the part ended with code 3") as raised:
        part.wait_until_ready(20)

    part.stop()
    assert "line 99" in str(raised.value)
    assert "line 50" not in str(raised.value)


def test_a_part_that_dies_later_is_noticed(guard: Guard, tmp_path: Path) -> None:
    part = make_part(guard, tmp_path, READY, WAIT)
    part.wait_until_ready(20)
    os.kill(part.pid, signal.SIGKILL)

    def noticed() -> bool:
        try:
            part.check()
        except PartError:
            return True
        return False

    eventually("the death", noticed)
    part.stop()


def test_a_killed_part_can_be_started_again_with_its_log_kept(guard: Guard, tmp_path: Path) -> None:
    part = make_part(guard, tmp_path, READY, WAIT)
    part.wait_until_ready(20)
    first = part.pid
    os.kill(first, signal.SIGKILL)

    part.restart()

    part.wait_until_ready(20)
    assert part.pid != first
    assert (tmp_path / "part.log").read_text().count("part ready") == 2
    part.stop()


def test_a_part_that_does_not_leave_is_killed(guard: Guard, tmp_path: Path) -> None:
    part = make_part(guard, tmp_path, STUBBORN, READY, WAIT)
    part.wait_until_ready(20)

    part.stop(seconds=0.2)

    assert not is_alive(part.pid)


def test_children_of_a_part_end_with_it(guard: Guard, tmp_path: Path) -> None:
    child = f"import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', {WAIT!r}])"
    part = make_part(guard, tmp_path, child, "print(c.pid, flush=True)", READY, WAIT)
    part.wait_until_ready(20)
    child_pid = int((tmp_path / "part.log").read_text().split()[0])

    part.stop()

    eventually("the child's end", lambda: not is_alive(child_pid))


def test_a_part_gets_its_environment(guard: Guard, tmp_path: Path) -> None:
    part = make_part(
        guard, tmp_path, "import os; print(os.environ['GREETING'])", READY, WAIT, GREETING="hello"
    )
    part.wait_until_ready(20)
    part.stop()

    assert "hello" in (tmp_path / "part.log").read_text()


SUPERVISOR = """
import sys
from pathlib import Path
from simulator.cloud.guard import Guard
from simulator.cloud.part import Part, PartOptions
part = Part(
    PartOptions(
        name="part",
        command=[sys.executable, "-c", sys.argv[2]],
        ready="part ready",
        log=Path(sys.argv[1]),
        environment={},
    ),
    Guard(),
)
part.wait_until_ready()
print(part.pid, flush=True)
part._process.wait()
"""


def test_parts_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    lines = f"{STUBBORN}\n{READY}\n{WAIT}"
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path / "part.log"), lines],
        cwd=REPOSITORY,
        text=True,
        stdout=subprocess.PIPE,
    )
    assert supervisor.stdout is not None
    part_pid = int(supervisor.stdout.readline())

    supervisor.kill()
    supervisor.communicate()

    eventually("the part's end", lambda: not is_alive(part_pid))
