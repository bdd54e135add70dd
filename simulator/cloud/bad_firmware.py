"""Show how a bad firmware is stopped: canary, gate, reasons, rollback, evidence."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from rich.console import Console

from simulator.cloud.connected_devices import (
    CloudDevice,
    allow_devices,
    check_device_port,
    connect_devices,
    device_ids,
    simulated_device_factory,
)
from simulator.cloud.demo_steps import step, thermostats_of
from simulator.cloud.errors import CloudError
from simulator.cloud.failing_devices import FAILURE, choose_failing
from simulator.cloud.fleet_commands import FleetCommands
from simulator.cloud.local_cloud import run_cloud
from simulator.cloud.options import DemoOptions
from simulator.cloud.registration import Registration
from simulator.cloud.rollout_service import Json, RolloutService
from simulator.simulated_device.simulated_updates import UpdateSettings

GOOD, BAD = "2.4.0", "2.5.0"
_BAD_SHARE = Decimal(20)
# Paused; or failed, if the failures are among the last devices.
_STOPPED = (5, 1)
_ALL_DEVICES = ("--condition", "is_defined(deviceId)")

_INTRODUCTION = """\
How a bad firmware is stopped. {devices} run {good}. Firmware {bad}
breaks {share}% of them: once it is installed, their temperature sensor does
not respond. No test has found that.

Everything runs on this machine, without an Azure account. It takes less than
a minute and less than 10 MB in .local. Lines with $ are commands of fleet,
.venv/bin/fleet.
"""


def show_bad_firmware(options: DemoOptions, console: Console) -> bool:
    """Run every step and print it; return whether all devices run the good firmware at the end."""
    check_device_port(options.cloud)
    count = options.device_count
    allow_devices(count, installing=False)
    say = console.print
    say(_INTRODUCTION.format(devices=thermostats_of(count), good=GOOD, bad=BAD, share=_BAD_SHARE))
    ids = device_ids(count)
    with ExitStack() as stack:
        with step(console, "1  Start the local cloud"):
            stack.enter_context(run_cloud(options.cloud))
        registration = Registration(options.cloud)
        with step(console, f"2  Register and connect {thermostats_of(count)}"):
            stack.enter_context(connect_devices(registration, ids, _factory(options, ids)))
        story = _Story(options, console)
        story.roll_out_good()
        rollout = story.roll_out_bad()
        story.show_reasons(rollout)
        story.roll_back(rollout)
        story.show_evidence(rollout)
        running = sum(_version(registration, id_) == GOOD for id_ in ids)
        with step(console, "\n8  Stop everything that was started"):
            stack.close()
    say(f"\n{running} of {thermostats_of(count)} run {GOOD}")
    return running == count


def _factory(options: DemoOptions, ids: Iterable[str]) -> Callable[[str], CloudDevice]:
    settings = UpdateSettings(stage_delay=timedelta(seconds=options.stage_seconds / 4))
    failure = replace(FAILURE, versions=frozenset({BAD}))
    return simulated_device_factory(
        options.cloud, settings, choose_failing(ids, _BAD_SHARE), failure
    )


class _Story:
    """The steps that are commands of `fleet`."""

    def __init__(self, options: DemoOptions, console: Console) -> None:
        self._say = console.print
        self._service = RolloutService(options.cloud.api_url)
        self._fleet = FleetCommands(options.cloud.api_url, console)
        self._export = options.cloud.local_directory / f"rollout-{BAD}.jsonl"
        self._count = options.device_count

    def roll_out_good(self) -> None:
        self._say(f"\n3  Bring all of them to {GOOD}, as on a good day:")
        self._fleet.run("create", *_firmware(GOOD), *_ALL_DEVICES, "--wait")

    def roll_out_bad(self) -> Json:
        """Return the rollout of the bad firmware, stopped."""
        canary = self._count // 3
        self._say(f"\n4  Roll out {BAD}: {thermostats_of(canary)} first, as a canary. The failure")
        self._say(f"   gate judges each result, and never more than {canary} update at once:")
        limits = ("--success-share", "95%", "--max-in-flight", str(canary))
        waves = ("--wave", f"canary={canary}", *limits)
        printed = self._fleet.run(
            *("create", *_firmware(BAD), *_ALL_DEVICES, *waves, "--wait", "--fail-on-pause"),
            expected=_STOPPED,
        )
        rollout = self._service.rollout(_rollout_id(printed))
        counts = rollout["counts"]
        self._say(
            f"\n   The service has stopped the rollout by itself: {counts['failed']} failed,"
            f" {counts['completed']} completed,\n   and {counts['queued']} were never sent {BAD}."
        )
        return rollout

    def show_reasons(self, rollout: Json) -> None:
        self._say("\n5  Why? The rollout, and one of its failed devices:")
        self._fleet.run("show", rollout["id"])
        updates = self._service.device_updates(rollout["id"])
        failed = next(item["deviceId"] for item in updates if item["state"] == "failed")
        self._fleet.run("why", failed, "--rollout", rollout["id"])

    def roll_back(self, rollout: Json) -> None:
        self._say("\n6  Decide. If the failures had another cause, fleet resume would continue.")
        self._say(f"   Here the firmware is bad: bring the devices that run it back to {GOOD}:")
        printed = self._fleet.run("rollback", rollout["id"], "--reason", "the sensor is silent")
        self._fleet.run("wait", _rollout_id(printed))

    def show_evidence(self, rollout: Json) -> None:
        self._say("\n7  The evidence: who did what and why; and all that is stored, in a file:")
        self._fleet.run("events", rollout["id"])
        self._fleet.run("export", rollout["id"], "--output", str(self._export))


def _firmware(version: str) -> tuple[str, ...]:
    package = f"https://packages.example/fw-{version}.bin"
    return ("--version", version, "--package-uri", package)


def _rollout_id(printed: list[str]) -> str:
    """Return the id in the first line that begins with `rollout <id>`."""
    for line in printed:
        words = line.split()
        if words[:1] == ["rollout"]:
            return words[1].rstrip(":")
    raise CloudError("fleet printed no rollout")


def _version(registration: Registration, device_id: str) -> str:
    reported = registration.twin(device_id)["properties"]["reported"]
    return str(reported.get("firmwareVersion"))
