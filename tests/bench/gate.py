"""Compare the failure gate with the rule that it replaced, and with a plain percentage.

All judge the same simulated waves, from a fixed seed. A wave has a size, a failure rate, a rate of
starts and a timing: whether failures end sooner than successes, alike or later, and whether a tenth
of the devices hangs. The gate judges all waves of a cell, the other rules as many as time allows.

The environment variable RUNS sets the number of waves in each cell.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from functions.rollouts.model.strategy import FailureGate, percent
from functions.rollouts.rollout import gate
from tests.bench import gate_rules
from tests.bench.figures import Figure
from tests.bench.simulated_wave import SimulatedWave, Timing

SEED = 1945
RUNS = int(os.environ.get("RUNS") or 2_000)
SIZES = (20, 50, 100, 200, 500, 1000, 5000)
RATES = (1, 3, 10, 20)  # percent
GOOD, BAD = 1, 10  # percent, the defaults of the gate
GATE = FailureGate(acceptable=percent(GOOD), unacceptable=percent(BAD))
LIMITS = gate.limits_for(GATE)  # of a rollout with one wave
TIMINGS = (
    Timing("failures 10x sooner", 60, 600),
    Timing("failures as late as successes", 600, 600),
    Timing("failures later", 1200, 600),
    Timing("failures 10x sooner, a tenth hangs", 60, 600, hanging=0.1),
)
# One unit of tier S1 at a share of 80% starts this many devices each second.
START_RATES: tuple[tuple[str, float | None], ...] = (("all at once", None), ("13.3/s", 40 / 3))
GATE_NAME, EARLIER = "gate", "earlier rule"
PLAIN = f"plain {gate_rules.PLAIN_PERCENT}% rule"
# Drawn for each cell: failures, and devices for the rules that need the ends of healthy ones.
_MAX_FAILURES, _MAX_DEVICES = 2_000_000, 500_000
# The limits that the figures stand beside.
MAX_GOOD_STOPPED, MIN_BAD_STOPPED, MAX_MORE_STARTED = 100 * 0.05 / 0.95, 95.0, 1.5
_SURE_FROM = 100  # devices of a wave


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a rule did to many waves."""

    stopped: float
    """Waves that were stopped, in percent."""
    started: float | None
    """Devices that had started at the stop, on average; None if no wave was stopped."""

    def __str__(self) -> str:
        if self.started is None:
            return "0%"
        return f"{self.stopped:.1f}% ({self.started:,.0f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """All rules on the waves of one size, failure rate, starts and timing."""

    timing: Timing
    starts: str
    size: int
    failing: int
    outcomes: Mapping[str, Outcome]
    """By the name of a rule."""
    more_started: float | None
    """Devices that the gate lets start over those of the earlier rule, in waves that both stop."""


def run() -> Iterator[Figure]:
    """Print all results as Markdown tables, then yield the most important figures."""
    cells: list[Cell] = []
    for timing in TIMINGS:
        for starts, rate in START_RATES:
            found = [
                _measure(timing, starts, rate, size, failing) for size in SIZES for failing in RATES
            ]
            print("\n".join(_markdown(found, GATE_NAME, EARLIER)), flush=True)
            cells += found
    print("\n".join(_markdown(cells[: len(SIZES) * len(RATES)], PLAIN)), flush=True)
    yield from _limits_kept(cells)


def _limits_kept(cells: Sequence[Cell]) -> Iterator[Figure]:
    good = [cell for cell in cells if cell.failing == GOOD]
    bad = [cell for cell in cells if cell.failing == BAD and cell.size >= _SURE_FROM]
    ratios = [
        cell.more_started for cell in cells if cell.failing >= BAD and cell.more_started is not None
    ]
    yield Figure(
        name=f"gate, {GOOD}% bad, the most of all cells: stopped",
        value=max(cell.outcomes[GATE_NAME].stopped for cell in good),
        unit="% waves",
        base=Figure(name="the limit", value=MAX_GOOD_STOPPED, unit="% waves"),
    )
    yield Figure(
        name=f"earlier rule, {GOOD}% bad, the most of all cells: stopped",
        value=max(cell.outcomes[EARLIER].stopped for cell in good),
        unit="% waves",
    )
    yield Figure(
        name=f"gate, {BAD}% bad, {_SURE_FROM} or more, the least: stopped",
        value=min(cell.outcomes[GATE_NAME].stopped for cell in bad),
        unit="% waves",
        base=Figure(name="the aim", value=MIN_BAD_STOPPED, unit="% waves"),
    )
    yield Figure(
        name=f"gate, {BAD}% bad or more, the most: started at the stop",
        value=max(ratios),
        unit="x earlier",
        base=Figure(name="the aim", value=MAX_MORE_STARTED, unit="x earlier"),
    )


def _measure(timing: Timing, starts: str, rate: float | None, size: int, failing: int) -> Cell:
    random = Random(f"{SEED} {timing.name} {starts} {size} {failing}")  # noqa: S311 - a simulation
    waves = min(RUNS, _MAX_FAILURES * 100 // (size * failing))
    judged = min(waves, _MAX_DEVICES // size)
    started: dict[str, list[int]] = {GATE_NAME: [], EARLIER: [], PLAIN: []}
    both: list[tuple[int, int]] = []
    for number in range(waves):
        wave = SimulatedWave(size, failing / 100, timing, rate, random)
        stops = {GATE_NAME: gate_rules.gate_stop(wave, LIMITS)}
        if number < judged:
            stops[EARLIER] = gate_rules.earlier_stop(wave, GATE)
            stops[PLAIN] = gate_rules.plain_stop(wave)
        by = {name: wave.started_by(at) for name, at in stops.items() if at is not None}
        for name, devices in by.items():
            started[name].append(devices)
        if GATE_NAME in by and EARLIER in by:
            both.append((by[GATE_NAME], by[EARLIER]))
    return Cell(
        timing=timing,
        starts=starts,
        size=size,
        failing=failing,
        outcomes={
            name: _outcome(devices, waves if name == GATE_NAME else judged)
            for name, devices in started.items()
        },
        more_started=_ratio(both),
    )


def _outcome(started: Sequence[int], waves: int) -> Outcome:
    mean = sum(started) / len(started) if started else None
    return Outcome(stopped=100 * len(started) / waves, started=mean)


def _ratio(started: Sequence[tuple[int, int]]) -> float | None:
    """Return the devices of the first rule over those of the second, or None without any."""
    if not started:
        return None
    return sum(ours for ours, _ in started) / sum(others for _, others in started)


def _markdown(cells: Sequence[Cell], *rules: str) -> Iterator[str]:
    """Yield a table; a cell is the waves stopped and the mean of devices started at the stop."""
    yield f"{cells[0].timing.name}, {cells[0].starts}:"
    yield ""
    headings = [f"{rule} {rate}%" for rule in rules for rate in RATES]
    yield f"| wave of | {' | '.join(headings)} |"
    yield "| --- " * (len(headings) + 1) + "|"
    for size in SIZES:
        row = [cell for cell in cells if cell.size == size]
        found = [str(cell.outcomes[rule]) for rule in rules for cell in row]
        yield f"| {size:,} | {' | '.join(found)} |"
    yield ""
