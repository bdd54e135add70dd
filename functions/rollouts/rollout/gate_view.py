"""Show how far the failure gate is from its decisions, now or with other rates.

There is a view of each open wave, of a wave that keeps an open rollout from going on, and of each
stratum that is judged. The numbers are those of the present sequence: failures that an operator has
resumed past are left out.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from math import ceil

from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.model.gate_view import GateView
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import FailureGate
from functions.rollouts.model.wave import Wave, WaveStatus
from functions.rollouts.rollout import gate
from functions.rollouts.rollout.gate import Limits, Verdict
from functions.rollouts.rollout.permission import OPEN


def view(rollout: Rollout) -> Sequence[GateView]:
    """Return the views of the open waves, of one that stops the rollout, and of judged strata."""
    numbers = [n for n, wave in enumerate(rollout.waves) if wave.status in OPEN or _stops(wave)]
    return () if rollout.is_over else _list_views(rollout, numbers)


def preview(rollout: Rollout, failure_gate: FailureGate) -> Sequence[GateView]:
    """Return what another gate would have decided until now, for all waves that have opened."""
    strategy = replace(rollout.strategy, failure_gate=failure_gate)
    other = replace(rollout, definition=replace(rollout.definition, strategy=strategy))
    numbers = [n for n, wave in enumerate(other.waves) if wave.status is not WaveStatus.PENDING]
    return _list_views(other, numbers)


def _stops(wave: Wave) -> bool:
    """Return whether an operator has to resume past the wave's end."""
    return wave.status is WaveStatus.FAILED and not wave.passed


def _list_views(rollout: Rollout, numbers: Sequence[int]) -> Sequence[GateView]:
    views = [_view_wave(rollout, rollout.waves[number]) for number in numbers]
    if all(wave.status is WaveStatus.PENDING for wave in rollout.waves):
        return views  # no stratum is judged yet
    return views + [_view_stratum(rollout, number) for number in range(len(rollout.stratum_gates))]


def _view_wave(rollout: Rollout, wave: Wave) -> GateView:
    return _view(
        gate.limits_of(rollout, wave),
        wave.sequence,
        soaking=wave.counts.soaking,
        since=wave.acknowledged_at,
        wave=wave.name,
        stratum=None,
    )


def _view_stratum(rollout: Rollout, number: int) -> GateView:
    item = rollout.stratum_gates[number]
    return _view(
        gate.limits_of_strata(rollout),
        item.sequence,
        soaking=sum(wave.strata[number].counts.soaking for wave in rollout.waves),
        since=item.acknowledged_at,
        wave=None,
        stratum=rollout.strata[number],
    )


def _view(
    limits: Limits,
    sequence: GateSequence,
    *,
    soaking: int,
    since: datetime | None,
    wave: str | None,
    stratum: str | None,
) -> GateView:
    failed, devices = sequence.failures, sequence.devices
    in_flight = max(0, sequence.in_flight - soaking)
    healthy = max(0, devices - failed - in_flight)
    worst = gate.find_worst(limits, sequence)
    first_failed, first_devices = worst or (0, devices)
    at_failure = _find_breach(limits, sequence)
    return GateView(
        wave=wave,
        stratum=stratum,
        failed=failed,
        healthy=healthy,
        in_flight=in_flight,
        ratio=limits.ratio(first_failed, first_devices - first_failed),
        threshold=limits.threshold,
        failures_to_breach=0
        if at_failure
        else _failures_to_breach(limits, failed, healthy, in_flight),
        healthy_to_acceptable=_healthy_to_acceptable(limits, failed, healthy),
        counted_since=since,
        breached=at_failure is not None,
        breached_at_failure=at_failure,
    )


def _find_breach(limits: Limits, sequence: GateSequence) -> int | None:
    """Return the failure, in the order of time, with which the gate was breached; None if never."""
    failed = tuple(filter(None, sequence.failed))

    def is_breached(count: int) -> bool:
        return gate.is_breached(limits, sequence._replace(failed=failed[:count]).prefixes())

    found = bisect_left(range(len(failed) + 1), True, key=is_breached)
    return found if found <= len(failed) else None


def _failures_to_breach(limits: Limits, failed: int, healthy: int, in_flight: int) -> int:
    """Return how many failures in a row breach: of the devices in flight, then of others."""

    def is_breached(more: int) -> bool:
        others = healthy + max(0, in_flight - more)
        return gate.judge(limits, failed + more, others) is Verdict.BREACHED

    distance = limits.threshold - limits.ratio(failed, healthy + in_flight)
    most = ceil(distance / limits.per_failed) + 1
    return 1 + bisect_left(range(1, most + 1), True, key=is_breached)


def _healthy_to_acceptable(limits: Limits, failed: int, healthy: int) -> int:
    distance = limits.ratio(failed, healthy) - limits.acceptable
    most = max(0, ceil(distance / -limits.per_other)) + 1
    return bisect_left(
        range(most + 1),
        True,
        key=lambda more: gate.judge(limits, failed, healthy + more) is Verdict.ACCEPTABLE,
    )
