"""Overshoot: who was asked after the devices' own ends had proved the firmware bad."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from functions.rollouts.model.device_update import DeviceUpdate, Reason
from functions.rollouts.model.rollout import Counts
from functions.rollouts.rollout import gate
from simulator.rehearsal.overshoot import overshoot
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault
from tests.functions.builders import at, make_update
from tests.simulator.rehearsal.builders import after, make_rollout, payload

STOPPED = replace(
    make_rollout(counts=Counts(queued=9)), status_reason=Reason(code=gate.CODE, message="bad")
)


def asked(
    *seconds: float, fault: Fault = Fault.FAILING, wave: int = 0
) -> tuple[list[DeviceUpdate], Mapping[str, VirtualDevice]]:
    """Devices asked at these times after noon; their updates take half a minute each."""
    updates, devices = [], {}
    for second in seconds:
        name = f"{fault} {wave} {second}"
        devices[name] = VirtualDevice(name, fault=fault)
        devices[name].receive_method(payload(), after(second))
        updates.append(make_update(name, wave=wave, dispatched_at=at(second)))
    return updates, devices


@pytest.mark.parametrize(
    ("late", "number"), [((30, 30.5, 31, 40), 3), ((31,), 1), ((29, 30, 30.4), 0), ((), 0)]
)
def test_those_asked_after_the_proof_are_counted(late: tuple[float, ...], number: int) -> None:
    # The second of two failures is the proof.
    updates, devices = asked(0, 0.4, *late)

    assert overshoot(STOPPED, updates, devices) == number


def test_healthy_ends_put_the_proof_off() -> None:
    bad, failing = asked(1, 2, 100)
    good, steady = asked(*(number / 100 for number in range(20)), fault=Fault.NONE)

    assert overshoot(STOPPED, bad, failing) == 1
    assert overshoot(STOPPED, [*bad, *good], {**failing, **steady}) == 0


def test_failures_of_two_waves_are_no_proof_together() -> None:
    rollout = replace(STOPPED, waves=STOPPED.waves * 2)
    first, one = asked(0, 100)
    second, other = asked(0, wave=1)

    assert overshoot(rollout, [*first, *second], {**one, **other}) == 0


def test_devices_that_hang_or_were_never_asked_prove_nothing() -> None:
    updates, devices = asked(0, 1, 100, fault=Fault.HANGING)
    never = make_update("never")

    known = {**devices, "never": VirtualDevice("never", fault=Fault.FAILING)}
    assert overshoot(STOPPED, [*updates, never], known) == 0


def test_a_rollout_that_its_gate_did_not_stop_has_none() -> None:
    updates, devices = asked(0, 1, 100)

    assert overshoot(STOPPED, updates, devices) == 1
    assert overshoot(make_rollout(counts=Counts(queued=9)), updates, devices) == 0
