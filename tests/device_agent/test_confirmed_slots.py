"""Test that a confirmed slot is not judged again, and that a device can always be updated again."""

import random
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from device_agent.journal import Job, Journal, Phase
from device_agent.offer import Image, Offer
from device_agent.ports import BootState, Installer, RunningFirmware
from device_agent.slots import SlotInstaller
from device_agent.update import FirmwareStatus, Update
from simulator.simulated_device.bootloader import boot, manufacture
from tests.device_agent.bench_device import NEW, OLD, URL, Bench
from tests.device_agent.volatile_disk import PowerLossError


class _LosesPowerAfterConfirm(SlotInstaller):
    def confirm(self) -> None:
        super().confirm()
        raise PowerLossError


def _run_trial_until_confirm(bench: Bench) -> None:
    bench.run_once(bench.payload)  # downloads, installs, switches
    bench.power.back(None)
    manufacture(bench.disk, OLD)
    installer = _LosesPowerAfterConfirm(bench.disk, boot(bench.disk), bench.restart)
    with suppress(PowerLossError):
        bench.run_once(installer=installer)
    bench.power.back(None)


def _next_update(bench: Bench) -> dict[str, Any]:
    return bench.payload | {"attempt": 1, "rolloutId": "r2"}


def test_a_device_whose_confirmed_firmware_becomes_unhealthy_can_be_updated_again() -> None:
    bench = Bench()
    _run_trial_until_confirm(bench)
    bench.health_problem = "the fan is loud"  # the new firmware is not the cause
    agent = bench.agent()
    works = 0
    while agent.has_work and works < 1000:
        for report in iter(agent.next_report, None):
            agent.acknowledge(report)
        agent.work(lambda _: None)
        works += 1
    response = agent.invoke("firmwareUpdate", _next_update(bench))
    assert (works, response.status) == (1, 200), (
        f"runs {agent.version} (confirmed: {not agent.is_on_trial}), made its health check {works}"
        f" times without an end, and responds to the repairing update with {response.status}"
    )


def test_a_confirmed_slot_is_reported_as_completed_even_if_it_became_unhealthy() -> None:
    bench = Bench()
    _run_trial_until_confirm(bench)
    bench.health_problem = "the fan is loud"
    bench.run()
    assert (bench.twin["firmwareStatus"], bench.twin["firmwareVersion"]) == ("completed", NEW)


class _SickOnceConfirmed(Bench):
    """A device whose firmware becomes unhealthy as soon as its slot is confirmed."""

    def find_problem(self) -> str | None:
        record = self.disk.seen["boot.json"].decode()
        return None if '"trial": "b"' in record else "the fan is loud"


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "power lost"])
def test_a_crash_at_any_operation_of_the_trial_leaves_a_device_that_can_be_updated(
    *, killed: bool
) -> None:
    for fails_at in range(1, 40):
        bench = _SickOnceConfirmed()
        bench.run_once(bench.payload)
        bench.power.back(fails_at)
        with suppress(PowerLossError):
            bench.run_once()
        if not killed:
            bench.disk.lose_power(random.Random(fails_at))  # noqa: S311 - reproducible
        bench.power.back(None)
        bench.run()
        assert (bench.twin["firmwareStatus"], bench.twin["firmwareVersion"]) == ("completed", NEW)
        (response,) = bench.run_once(_next_update(bench))
        assert response.status == 200, fails_at


def test_a_crash_at_any_operation_reports_the_end_of_both_updates() -> None:
    """Accept the second update before the end of the first one is reported."""
    for fails_at in range(1, 30):
        bench = Bench()
        _run_trial_until_confirm(bench)
        bench.power.back(fails_at)
        with suppress(PowerLossError):
            agent = bench.agent()
            agent.work(lambda _: None)
            agent.invoke("firmwareUpdate", _next_update(bench))
            bench.run_once()
        bench.power.back(None)
        bench.run()
        bench.run(_next_update(bench))
        ends = [
            (report.update.rollout_id, report.status)
            for report in bench.reports
            if report.update and report.status in ("completed", "failed")
        ]
        assert list(dict.fromkeys(ends)) == [("r1", "completed"), ("r2", "completed")], fails_at


def test_a_slot_that_another_program_confirms_is_kept() -> None:
    """Confirm at the start, as a system's own service may do."""
    bench = Bench()
    bench.run_once(bench.payload)
    bench.health_problem = "the fan is loud"
    manufacture(bench.disk, OLD)
    installer = SlotInstaller(bench.disk, boot(bench.disk), bench.restart)
    installer.confirm()
    bench.run_once(installer=installer)
    assert bench.reports[-1].status == "completed"


class _Slots:
    """An installer that says what it is told to say."""

    def __init__(self, bench: Bench, running: RunningFirmware) -> None:
        self._inner = SlotInstaller(bench.disk, "a", bench.restart)
        self._running = running
        self.restart = bench.restart

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def running(self) -> RunningFirmware:
        return self._running

    def confirm(self) -> None:
        self._running = replace(self._running, boot=BootState.SETTLED)

    def revert(self) -> None:
        self._running = replace(self._running, boot=BootState.FELL_BACK)

    def switch(self) -> None:
        self._running = replace(self._running, boot=BootState.SWITCHED)


CHECKED = (Phase.SWITCHING, Phase.TRYING)
SITUATIONS = list(product(BootState, ["a", "b"], CHECKED, ["a", None], [None, "the fan is loud"]))


@pytest.mark.parametrize(("state", "slot", "phase", "old_slot", "problem"), SITUATIONS)
def test_no_combination_of_slots_and_journal_loops(
    state: BootState, slot: str, phase: Phase, old_slot: str | None, problem: str | None
) -> None:
    bench = Bench(health_problem=problem)
    manufacture(bench.disk, OLD)
    image = Image(version=NEW, sha256="0" * 64, size_bytes=1)
    offer = Offer(update=Update(rollout_id="r1", attempt=1, version=NEW), url=URL)
    job = Job(offer=offer, began_at=bench.clock.now(), phase=phase, image=image, old_slot=old_slot)
    Journal(bench.disk).enter(replace(job, told=FirmwareStatus.APPLYING))
    version = NEW if slot == "b" else OLD
    installer: Installer = _Slots(bench, RunningFirmware(slot=slot, version=version, boot=state))
    agent, works = bench.agent(installer), 0
    while agent.has_work and works < 10:
        agent.work(lambda _: None)
        works += 1
    assert works < 3
    if not agent.is_restarting:
        assert agent.invoke("firmwareUpdate", _next_update(bench)).status == 200
