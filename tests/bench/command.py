"""Compare the start of `fleet` with an import of httpx: processes, in turn."""

import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

from tests.bench.figures import Figure

ROUNDS = 5
IMPORT = ("-c", "import httpx")
STARTS = ((), ("list",), ("create",), ("wait",))


def run() -> Iterator[Figure]:
    """Measure the start of `fleet --help` and of some commands' help."""
    programs = {"python -c 'import httpx'": IMPORT} | {
        " ".join(("fleet", *names, "--help")): ("-m", "fleet", *names, "--help") for names in STARTS
    }
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS):
        for name, arguments in programs.items():
            taken[name].append(_seconds(arguments))
    base = None
    for name, seconds in taken.items():
        figure = Figure(name=name, value=median(seconds), unit="s", base=base)
        base = base or figure
        yield figure


def _seconds(arguments: tuple[str, ...]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
