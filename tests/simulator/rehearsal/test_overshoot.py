"""Overshoot counts devices that started after the gate could have been breached."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.stratum import FrozenStratum, StratumGate
from functions.rollouts.model.wave import Counts
from functions.rollouts.rollout import gate
from simulator.rehearsal.overshoot import count_overshoot
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault
from tests.functions.builders import at, make_update
from tests.simulator.rehearsal.builders import after, make_rollout, payload

STOPPED = replace(
    make_rollout(counts=Counts(queued=9)), status_reason=Reason(code=gate.CODE, message="bad")
)


def start_updates(
    *seconds: float, fault: Fault = Fault.FAILING, wave: int = 0
) -> tuple[list[DeviceUpdate], Mapping[str, VirtualDevice]]:
    """Start devices at these times after noon; each update takes 30 s."""
    updates, devices = [], {}
    for rank, second in enumerate(seconds, 1):
        name = f"{fault} {wave} {second}"
        devices[name] = VirtualDevice(name, fault=fault)
        devices[name].receive_method(payload(), after(second))
        updates.append(make_update(name, wave=wave, start_rank=rank, dispatched_at=at(second)))
    return updates, devices


@pytest.mark.parametrize(
    ("late", "number"), [((30, 30.5, 31, 40), 3), ((31,), 1), ((29, 30, 30.4), 0), ((), 0)]
)
def test_devices_started_after_the_second_failure_are_counted(
    late: tuple[float, ...], number: int
) -> None:
    # The second failure breaches the gate.
    updates, devices = start_updates(0, 0.4, *late)

    assert count_overshoot(STOPPED, updates, devices) == number


def test_devices_that_started_before_the_failures_delay_the_breach() -> None:
    updates, devices = start_updates(1, 2, 100)
    later = [item._replace(start_rank=20 + number) for number, item in enumerate(updates)]

    assert count_overshoot(STOPPED, updates, devices) == 1
    assert count_overshoot(STOPPED, later, devices) == 0


def test_failures_of_two_waves_are_not_counted_together() -> None:
    rollout = replace(STOPPED, waves=STOPPED.waves * 2)
    first, one = start_updates(0, 100)
    second, other = start_updates(0, wave=1)

    assert count_overshoot(rollout, [*first, *second], {**one, **other}) == 0


def test_devices_that_hang_or_never_started_are_not_counted() -> None:
    updates, devices = start_updates(0, 1, 100, fault=Fault.HANGING)
    never = make_update("never")

    known = {**devices, "never": VirtualDevice("never", fault=Fault.FAILING)}
    assert count_overshoot(STOPPED, [*updates, never], known) == 0


def test_a_rollout_that_its_gate_did_not_stop_has_no_overshoot() -> None:
    updates, devices = start_updates(0, 1, 100)

    assert count_overshoot(STOPPED, updates, devices) == 1
    assert count_overshoot(make_rollout(counts=Counts(queued=9)), updates, devices) == 0


def test_the_devices_of_a_frozen_stratum_are_counted_from_its_own_breach_on() -> None:
    freeze = FrozenStratum(reason=Reason(code=gate.CODE, message="bad"), at=at(40), revision=2)
    rollout = replace(
        make_rollout(counts=Counts(queued=9)),
        strata=("berlin", "paris"),
        stratum_gates=(StratumGate(frozen=freeze), StratumGate()),
    )
    # The second failure breaches the gate of the stratum, 30.4 s after noon.
    updates, devices = start_updates(0, 0.4, 20, 31, 40)

    def all_of(stratum: int) -> list[DeviceUpdate]:
        return [item._replace(stratum=stratum, stratum_rank=item.start_rank) for item in updates]

    assert count_overshoot(rollout, all_of(0), devices) == 2
    assert count_overshoot(rollout, all_of(1), devices) == 0
