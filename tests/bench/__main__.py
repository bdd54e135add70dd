"""Run `make bench`: all benchmarks, or those that are named."""

import sys
from collections.abc import Callable, Iterator

from tests.bench import (
    agent,
    command,
    contention,
    ended_rollouts,
    figures,
    fleet,
    gate,
    gate_rollouts,
    hub,
    page,
    post_rollout,
    rehearsal,
    telemetry,
    tick,
)
from tests.bench.figures import Figure

BENCHMARKS: dict[str, Callable[[], Iterator[Figure]]] = {
    "gate": gate.run,
    "gate-rollouts": gate_rollouts.run,
    "post": post_rollout.run,
    "hub": hub.run,
    "rehearsal": rehearsal.run,
    "tick": tick.run,
    "fleet": fleet.run,
    "telemetry": telemetry.run,
    "contention": contention.run,
    "ended": ended_rollouts.run,
    "agent": agent.run,
    "command": command.run,
    "page": page.run,
}


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name not in BENCHMARKS]
    if unknown:
        print(f"unknown benchmark: {unknown[0]}; choose from {', '.join(BENCHMARKS)}")
        return 2
    measured: list[Figure] = []
    for name in arguments or BENCHMARKS:
        for figure in BENCHMARKS[name]():
            print(figure.line(), flush=True)
            measured.append(figure)
    figures.write(measured)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
