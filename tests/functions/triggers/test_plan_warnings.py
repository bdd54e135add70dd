"""Test what a plan warns of about its firmware, over HTTP."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from functions.outbound.port import Lookup, PackageLinkError
from functions.rollouts.model.device_twin import DeviceTwin
from simulator.rehearsal.virtual_device import VirtualDevice
from tests.functions.manifests import signed
from tests.functions.triggers.client import Client
from tests.functions.use_cases.world import World, devices

SECRET = "c2VjcmV0c2lnbmF0dXJl"
LINK = f"https://packages.example/fw.bin?sig={SECRET}"
HASH, OTHER_HASH = "a" * 64, "b" * 64
WAVES = {"waves": [{"name": "canary", "size": 2}]}


@dataclass
class FakeLookup:
    """Stand in for the lookup of packages."""

    found: Lookup = field(default_factory=Lookup)
    urls: list[str] = field(default_factory=list)

    def look_up(self, url: str) -> Lookup:
        self.urls.append(url)
        return self.found


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Return the versions that devices report, by device id; the others report 1.0.0."""
    versions: dict[str, str | None] = {"d-004": "2.4.0", "d-005": "3.0.0"}
    read = VirtualDevice.read_twin

    def with_version(device: VirtualDevice, now: float) -> DeviceTwin:
        twin = read(device, now)
        version = versions.get(device.device_id, "1.0.0")
        return replace(twin, reported={**twin.reported, "firmwareVersion": version})

    monkeypatch.setattr(VirtualDevice, "read_twin", with_version)
    return versions


@pytest.fixture
def world(running: dict[str, str | None]) -> World:
    assert running
    return World(devices(6), still=True)


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def warnings(client: Client, strategy: Any = None, **firmware: Any) -> dict[str, Any]:
    """Plan a rollout of all devices; return its warnings by code."""
    wanted = {"version": "2.4.0", "packageUri": LINK} | firmware
    body = {
        "firmware": {name: value for name, value in wanted.items() if value is not None},
        "target": {"deviceIds": [f"d-{number:03}" for number in range(6)]},
        "strategy": strategy or {},
    }
    planned = client.post("/rollouts/plan", body)
    assert planned.status == 200, planned.text
    assert SECRET not in planned.text
    found = {item["code"]: item for item in planned.body["warnings"]}
    assert len(found) == len(planned.body["warnings"])
    return found


def test_a_package_without_hash_and_manifest(client: Client) -> None:
    found = warnings(client)
    assert (found["noSha256"]["count"], found["noManifest"]["count"]) == (6, 6)
    assert "noSha256" not in warnings(client, sha256=HASH)
    assert not {"noSha256", "noManifest"} & warnings(client, manifest=signed()).keys()


def test_devices_that_run_the_version_already(
    client: Client, running: dict[str, str | None]
) -> None:
    found = warnings(client)["alreadyRunning"]
    assert (found["count"], found["message"]) == (
        1,
        "1 device runs 2.4.0 already, and is skipped.",
    )
    again = warnings(client, {"whenAlreadyRunning": "reinstall"})["alreadyRunning"]
    assert "is updated again" in again["message"]
    assert "alreadyRunning" not in warnings(client, version="9.0.0")
    running["d-005"] = "2.4.0"
    found = warnings(client)["alreadyRunning"]
    assert (found["count"], found["message"]) == (
        2,
        "2 devices run 2.4.0 already, and are skipped.",
    )


def test_devices_without_a_way_back(client: Client) -> None:
    found = warnings(client)["noWayBack"]
    assert found["count"] == 5
    assert "1.0.0 (4)" in found["message"]
    assert "3.0.0 (1)" in found["message"]
    body = {"packageUri": LINK, "reportedAs": ["3.0.0"]}
    assert client.put("/firmware/release-3", body).status == 201
    assert warnings(client)["noWayBack"]["count"] == 4
    rollback = warnings(client, {"failureGate": {"onBreach": "rollback"}})["noWayBack"]
    assert rollback["message"].startswith("No way back for 4 devices: ")
    assert "would leave these devices as they are" in rollback["message"]
    assert client.put("/firmware/1.0.0", body | {"reportedAs": []}).status == 201
    assert "noWayBack" not in warnings(client)


def test_a_version_that_an_earlier_rollout_named_is_a_way_back(client: Client) -> None:
    firmware = {"version": "1.0", "packageUri": LINK, "reportedAs": ["1.0.0"]}
    body = {"firmware": firmware, "target": {"deviceIds": ["d-000"]}}
    assert client.post("/rollouts", body).status == 201
    assert warnings(client)["noWayBack"]["count"] == 1  # 3.0.0


def test_devices_that_report_no_version(client: Client, running: dict[str, str | None]) -> None:
    assert "versionNotReported" not in warnings(client)
    running["d-000"] = None
    found = warnings(client)["versionNotReported"]
    assert found["count"] == 1
    assert found["message"].startswith("1 device reports no firmwareVersion")
    for number in range(3):
        running[f"d-{number:03}"] = None
    found = warnings(client)["versionNotReported"]
    assert found["count"] == 3
    assert found["message"].startswith("3 devices report no firmwareVersion")
    assert warnings(client)["noWayBack"]["count"] == 2


def test_a_canary_that_is_too_small_for_its_gate(client: Client) -> None:
    found = warnings(client, WAVES)["canaryTooSmall"]
    assert found["count"] == 2
    assert "Wave canary has 2 devices" in found["message"]
    assert "only 32 healthy ones show at 95% confidence" in found["message"]
    one = warnings(client, {"waves": [{"name": "one", "size": 1}]})["canaryTooSmall"]
    assert one["message"].startswith("Wave one has 1 device, too few for its gate")
    assert "Even if all its devices fail" in one["message"]
    easy = {"acceptable": "1%", "unacceptable": "90%", "confidence": 0.6}
    assert "canaryTooSmall" not in warnings(client, WAVES | {"failureGate": easy})
    assert "canaryTooSmall" not in warnings(client)  # no wave depends on another one


def test_another_package_than_the_catalogue_has(client: Client) -> None:
    registered = {"packageUri": LINK, "sha256": HASH}
    assert client.put("/firmware/2.4.0", registered).status == 201
    assert "otherPackage" not in warnings(client, packageUri=None)
    assert "otherPackage" not in warnings(client, sha256=HASH)
    elsewhere = "https://mirror.example/fw.bin"
    assert "otherPackage" not in warnings(client, packageUri=elsewhere, sha256=HASH)
    found = warnings(client, sha256=OTHER_HASH)["otherPackage"]
    assert HASH in found["message"]
    assert OTHER_HASH in found["message"]
    assert "not known" in warnings(client)["otherPackage"]["message"]


def test_a_package_is_found_or_not_where_the_setting_allows_a_lookup(
    client: Client, world: World
) -> None:
    assert "packageNotReachable" not in warnings(client)
    lookup = FakeLookup(Lookup(problem="status 404"))
    world.services = replace(world.services, package_lookup=lookup)
    found = warnings(client)["packageNotReachable"]
    assert found["count"] == 6
    assert "https://packages.example/fw.bin?*** could not be reached" in found["message"]
    assert "status 404" in found["message"]
    lookup.found = Lookup(size_bytes=1234)
    assert not {"packageNotReachable", "packageSizeDiffers"} & warnings(client).keys()
    assert "packageSizeDiffers" not in warnings(client, sizeBytes=1234)
    differs = warnings(client, sizeBytes=99)["packageSizeDiffers"]["message"]
    assert "has 1,234 bytes, not 99" in differs
    assert set(lookup.urls) == {LINK}


@pytest.mark.parametrize(
    ("strata", "waves", "can_breach"), [(False, 3, True), (True, 2, True), (True, 3, False)]
)
def test_a_gate_that_shares_its_errors_with_waves_and_strata_needs_more_failures(
    client: Client, strata: bool, waves: int, can_breach: bool
) -> None:
    strategy = {
        "waves": [{"size": 2}] * (waves - 1),
        "stratifyBy": ["tags.model"] if strata else [],
    }
    message = warnings(client, strategy)["canaryTooSmall"]["message"]
    assert ("Even if all its devices fail" not in message) is can_breach


def test_a_canary_of_exactly_the_needed_size_is_large_enough(client: Client) -> None:
    easy = {"failureGate": {"acceptable": "1%", "unacceptable": "50%", "confidence": 0.8}}
    found = warnings(client, {"waves": [{"size": 1}]} | easy)["canaryTooSmall"]
    assert "only 3 healthy ones" in found["message"]
    assert "canaryTooSmall" in warnings(client, {"waves": [{"size": 2}]} | easy)
    assert "canaryTooSmall" not in warnings(client, {"waves": [{"size": 3}]} | easy)


class FakeLinks:
    """Stand in for the links of packages in private storage."""

    def __init__(self, refusal: str = "") -> None:
        self._refusal = refusal
        self.valid_for = list[timedelta]()

    def make(self, uri: str, valid_for: timedelta) -> str:
        self.valid_for.append(valid_for)
        if self._refusal:
            raise PackageLinkError(self._refusal, is_refusal=True)
        return f"{uri}&link"


def test_a_plan_checks_a_package_in_private_storage_by_a_link_of_its_own(
    client: Client, world: World
) -> None:
    lookup, links = FakeLookup(), FakeLinks()
    world.services = replace(world.services, package_lookup=lookup, package_links=links)
    assert "packageNotReachable" not in warnings(client)
    assert lookup.urls == [f"{LINK}&link"]
    assert links.valid_for == [timedelta(minutes=5)]


def test_a_package_that_no_link_can_be_made_for_is_not_reachable(
    client: Client, world: World
) -> None:
    links = FakeLinks("The app may not read the account. Give it the role.")
    world.services = replace(world.services, package_lookup=FakeLookup(), package_links=links)
    message = warnings(client)["packageNotReachable"]["message"]
    assert (
        "could not be reached from here: The app may not read the account. Give it the role."
        " Devices may" in message
    )


def test_a_create_looks_nothing_up(client: Client, world: World) -> None:
    lookup = FakeLookup()
    world.services = replace(world.services, package_lookup=lookup)
    body = {
        "firmware": {"version": "2.4.0", "packageUri": LINK},
        "target": {"deviceIds": ["d-000"]},
    }
    planned = client.post("/rollouts/plan", body).body["planHash"]
    assert client.post("/rollouts", body | {"planHash": planned}).status == 201
    assert len(lookup.urls) == 1
