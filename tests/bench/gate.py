"""Compare the failure gate with the plain rule "stop when over x% of the whole wave have failed".

Both judge the same simulated waves, device by device, from a fixed seed. Only a failure can stop
a wave, so a wave is the positions of its failures among its finished devices: 19 is the 19th
device that finished.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from functions.rollouts.model.strategy import FailureGate, percent
from functions.rollouts.rollout.gate import Verdict, failures_to_breach, judge, limits_for
from tests.bench.figures import Figure

SEED = 1945
WAVES = 10_000
SIZES = (20, 50, 100, 200, 1000)
RATES = (0, 1, 3, 5, 10, 20, 100)  # percent
SHARES = (5, 1, 10)  # percent of the whole wave, for the plain rule; the first is the base
ACCEPTABLE, UNACCEPTABLE = 1, 10  # percent, the defaults
GATE = FailureGate(acceptable=percent(ACCEPTABLE), unacceptable=percent(UNACCEPTABLE))
LIMITS = limits_for(GATE)
PLAIN = f"plain {SHARES[0]}% rule"
SILENT_WAVE = 200
FLIGHT_WAVE, IN_FLIGHT = 200, (10, 50, 200)  # devices

type Wave = Sequence[int]
type Rule = Callable[[Wave], int | None]
"""Returns the position at which the wave is stopped, or None."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule did to many waves."""

    stopped: float
    """Waves that were stopped, in percent."""
    finished: float | None
    """Devices that had finished at the stop, on average; None if no wave was stopped."""

    def cell(self) -> str:
        if self.finished is None:
            return "0%"
        return f"{self.stopped:.1f}% ({self.finished:.0f})"


type Table = dict[tuple[str, int, int], Outcome]
"""By the name of a rule, wave size, and failure rate in percent."""


def run() -> Iterator[Figure]:
    """Print all results as Markdown tables, then yield the most important figures."""
    table = _characteristic()
    print("\n".join(_markdown(table)), flush=True)
    for rate in (ACCEPTABLE, UNACCEPTABLE):
        for size in SIZES:
            measured, plain = (table[rule, size, rate] for rule in ("gate", PLAIN))
            name = f"gate, {rate}% bad, wave of {size}: stopped"
            yield _figure(name, measured.stopped, "% waves", plain.stopped)
    for size in SIZES:
        measured, plain = (table[rule, size, UNACCEPTABLE] for rule in ("gate", PLAIN))
        name = f"gate, {UNACCEPTABLE}% bad, wave of {size}: finished at the stop"
        yield _figure(name, measured.finished or 0.0, "devices", plain.finished)
    yield _half_silent(UNACCEPTABLE)
    yield from _failures_first(ACCEPTABLE)


def _figure(name: str, value: float, unit: str, plain: float | None) -> Figure:
    base = Figure(name=PLAIN, value=plain or 0.0, unit=unit)
    return Figure(name=name, value=value, unit=unit, base=base)


def _characteristic() -> Table:
    source = _seeded()
    table: Table = {}
    for size in SIZES:
        rules = _rules(size)
        for rate in RATES:
            waves = _waves(source, size, rate)
            for name, rule in rules.items():
                table[name, size, rate] = _outcome(rule, waves)
    return table


def _rules(size: int) -> dict[str, Rule]:
    plain = {f"plain {share}% rule": _plain_rule(share, size) for share in SHARES}
    return {"gate": _gate_rule, **plain}


def _gate_rule(wave: Wave) -> int | None:
    for failed, position in enumerate(wave, 1):
        if judge(LIMITS, failed, position - failed) is Verdict.BREACHED:
            return position
    return None


def _plain_rule(share: int, size: int) -> Rule:
    allowed = percent(share).hundredths * size // 10_000
    return lambda wave: wave[allowed] if len(wave) > allowed else None


def _waves(source: random.Random, size: int, rate: int) -> list[Wave]:
    """Draw waves, without the failures after all rules have stopped."""
    gate = failures_to_breach(LIMITS, size) or size
    enough = max(gate, max(SHARES) * size // 100 + 1)
    return [_wave(source, size, rate / 100, enough) for _ in range(WAVES)]


def _wave(source: random.Random, size: int, rate: float, enough: int) -> Wave:
    """Draw one wave from the gaps between failures, which are geometrically distributed."""
    if rate in {0, 1}:
        return range(1, min(size, enough) + 1) if rate else ()
    scale = math.log1p(-rate)
    wave: list[int] = []
    position = 0
    while len(wave) < enough:
        position += 1 + int(math.log(1 - source.random()) / scale)
        if position > size:
            break
        wave.append(position)
    return wave


def _outcome(rule: Rule, waves: Sequence[Wave]) -> Outcome:
    stops = [stop for stop in map(rule, waves) if stop is not None]
    finished = sum(stops) / len(stops) if stops else None
    return Outcome(stopped=100 * len(stops) / len(waves), finished=finished)


def _half_silent(rate: int) -> Figure:
    """Measure waves in which half never finish and `rate` percent of the rest fail."""
    plain_rule = _rules(SILENT_WAVE)[PLAIN]
    waves = _waves(_seeded(), SILENT_WAVE // 2, rate)
    measured, plain = _outcome(_gate_rule, waves), _outcome(plain_rule, waves)
    name = f"gate, {rate}% bad, half of {SILENT_WAVE} silent: stopped"
    return _figure(name, measured.stopped, "% waves", plain.stopped)


def _failures_first(rate: int) -> Iterator[Figure]:
    """Measure the gate's worst case: failures end at once, healthy devices are still updating."""
    started = _waves(_seeded(), FLIGHT_WAVE, rate)
    name = f"gate, {rate}% bad, one device at a time: stopped"
    one = Figure(name=name, value=_outcome(_gate_rule, started).stopped, unit="% waves")
    yield one
    for in_flight in IN_FLIGHT:
        stopped = _outcome(_gate_rule, [_failed_first(wave, in_flight) for wave in started]).stopped
        yield Figure(
            name=f"gate, {rate}% bad, failures first, {in_flight} at once: stopped",
            value=stopped,
            unit="% waves",
            base=one,
        )


def _failed_first(wave: Wave, in_flight: int) -> Wave:
    """Convert positions among started devices to positions among finished devices.

    `in_flight` devices update at once; the next ones start when the healthy ones have finished.
    """
    return [
        failed + (position - failed) // in_flight * in_flight
        for failed, position in enumerate(wave, 1)
    ]


def _seeded() -> random.Random:
    return random.Random(SEED)  # noqa: S311  a simulation needs no secrecy


def _markdown(table: Table) -> Iterator[str]:
    """Yield tables of failure rates; a cell is the waves stopped (mean finished at the stop)."""
    for rule in ("gate", *(f"plain {share}% rule" for share in SHARES)):
        yield f"| {rule}, wave of | " + " | ".join(f"{rate}%" for rate in RATES) + " |"
        yield "| --- " * (len(RATES) + 1) + "|"
        for size in SIZES:
            cells = [table[rule, size, rate].cell() for rate in RATES]
            yield f"| {size} | " + " | ".join(cells) + " |"
        yield ""
