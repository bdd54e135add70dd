"""Test rollouts of packages in private storage: a link per attempt, never stored nor shown."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.outbound.port import Lookup, PackageLinkError
from functions.rollouts.model.method_outcome import MethodResponse
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault
from tests.functions.triggers.client import Client
from tests.functions.triggers.test_plan_warnings import FakeLookup
from tests.functions.triggers.test_secrets import everything
from tests.functions.use_cases.world import World, devices

BLOB = "https://packages.blob.core.windows.net/firmware/fw.bin"
# 43 digits in Base64 and =, as an HMAC-SHA256; the number of the link takes the first three.
SIGNATURE = "{:03}xYzxYzxYzxYzxYzxYzxYzxYzxYzxYzxYzxYzxYzx="
WANTED = {
    "firmware": {"version": "2.4.0", "packageUri": BLOB},
    "target": {"deviceIds": ["d-000", "d-001", "d-002"]},
}


class FakeLinks:
    """Stand in for private storage."""

    def __init__(self) -> None:
        self.made: list[tuple[str, timedelta]] = []
        self.error: PackageLinkError | None = None

    def make(self, uri: str, valid_for: timedelta) -> str:
        if self.error is not None:
            raise self.error
        if not uri.startswith(BLOB):
            return uri
        link = f"{uri}?se=2026-11-27&sp=r&sig={SIGNATURE.format(len(self.made))}"
        self.made.append((link, valid_for))
        return link

    @property
    def secrets(self) -> list[str]:
        return [SIGNATURE.format(number) for number in range(len(self.made))]


@pytest.fixture
def links() -> FakeLinks:
    return FakeLinks()


@pytest.fixture
def world(links: FakeLinks) -> World:
    world = World(devices(3))
    world.services = replace(world.services, package_links=links)
    return world


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the links that devices were sent; each repeats its own in its response."""
    received: list[str] = []
    receive = VirtualDevice.receive_method

    def repeating(
        device: VirtualDevice, payload: Mapping[str, Any], *more: Any, **named: Any
    ) -> MethodResponse:
        link = payload["fwPackageUri"]
        received.append(link)
        result = receive(device, payload, *more, **named)
        return replace(result, payload={"said": f"{link} {link.rpartition('sig=')[2]}"})

    monkeypatch.setattr(VirtualDevice, "receive_method", repeating)
    return received


def test_each_attempt_gets_a_link_for_the_timeout_that_is_never_shown(
    client: Client,
    world: World,
    links: FakeLinks,
    sent: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    world.hub.devices["d-001"].fault = Fault.FAILING
    body = WANTED | {"strategy": {"timeout": "PT2H", "maxNotStarted": 3}}
    created = client.post("/rollouts", body)
    rollout_id = created.body["id"]
    world.until_over(rollout_id)
    world.hub.devices["d-001"].fault = Fault.NONE
    retried = client.post(f"/rollouts/{rollout_id}/retry")
    assert retried.status == 200, retried.text
    world.ticks(30)
    assert world.rollout(rollout_id).counts.completed == 3
    assert sent == [link for link, _ in links.made]
    assert len(set(sent)) == 4  # three devices, and one of them again
    assert {length for _, length in links.made} == {timedelta(hours=2, minutes=10)}
    shown = [created, retried, *everything(client, rollout_id)]
    assert created.body["firmware"]["packageUri"] == BLOB
    stored = repr(world.stores.rollouts.__dict__) + repr(world.stores.catalogue.__dict__)
    for secret in links.secrets:
        assert secret not in caplog.text + stored
        assert not [response for response in shown if secret in response.text]
    assert world.rollout(rollout_id).firmware.package_uri == BLOB


@pytest.mark.parametrize("form", ["{}", "sig={}", "403 for {}.", "token {} expired"])
def test_a_signature_that_a_device_reports_later_is_hidden(
    client: Client, world: World, links: FakeLinks, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    read = VirtualDevice.read_twin

    def complaining(device: VirtualDevice, now: float) -> Any:
        twin = read(device, now)
        about = twin.reported.get("firmwareUpdate")
        if not about or not links.made:
            return twin
        error = {"errorCode": "http", "errorMessage": form.format(links.secrets[0])}
        reported = {**twin.reported, "firmwareStatus": "failed", "firmwareUpdate": about | error}
        return replace(twin, reported=reported)

    monkeypatch.setattr(VirtualDevice, "read_twin", complaining)
    rollout_id = client.post("/rollouts", WANTED).body["id"]
    world.ticks(10)
    shown = client.get(f"/rollouts/{rollout_id}/devices/d-000")
    assert shown.body["error"]["code"] == "reported"
    assert not [secret for secret in links.secrets if secret in shown.text]
    assert "***" in shown.body["error"]["message"]


def test_a_refused_link_pauses_the_rollout_and_fails_no_device(
    client: Client, world: World, links: FakeLinks, sent: list[str]
) -> None:
    links.error = PackageLinkError("Assign Storage Blob Delegator.", is_refusal=True)
    created = client.post("/rollouts", WANTED).body
    world.ticks(3)
    shown = client.get(f"/rollouts/{created['id']}").body
    assert (shown["status"], shown["statusReason"]["code"]) == ("paused", "packageStorage")
    assert shown["statusReason"]["message"] == (
        f"Assign Storage Blob Delegator. Next: assign the roles, then fleet resume {created['id']}."
    )
    assert (shown["counts"]["queued"], sent) == (3, [])
    events = client.get(f"/rollouts/{created['id']}/events").body["value"]
    assert [item["action"] for item in events].count("paused") == 1
    links.error = None
    assert client.post(f"/rollouts/{created['id']}/resume").status == 200
    assert world.until_over(created["id"]).counts.completed == 3


def test_storage_that_cannot_be_reached_delays_the_rollout_alone(
    client: Client, world: World, links: FakeLinks, sent: list[str]
) -> None:
    links.error = PackageLinkError("no route", is_refusal=False)
    rollout_id = client.post("/rollouts", WANTED).body["id"]
    world.ticks(5)
    shown = client.get(f"/rollouts/{rollout_id}").body
    assert (shown["status"], shown["counts"]["queued"], sent) == ("running", 3, [])
    links.error = None
    rollout = world.until_over(rollout_id)
    assert rollout.counts.completed == 3
    assert {item.attempt for item in world.updates(rollout_id)} == {1}


def test_a_package_elsewhere_is_sent_as_it_is(
    client: Client, world: World, links: FakeLinks, sent: list[str]
) -> None:
    elsewhere = "https://packages.example/fw.bin?token=1"
    firmware = {"version": "2.4.0", "packageUri": elsewhere}
    rollout_id = client.post("/rollouts", WANTED | {"firmware": firmware}).body["id"]
    world.until_over(rollout_id)
    assert set(sent) == {elsewhere}
    assert links.made == []


def test_a_plan_looks_for_the_package_with_a_link_of_its_own(
    client: Client, world: World, links: FakeLinks
) -> None:
    lookup = FakeLookup(Lookup(problem="status 404"))
    world.services = replace(world.services, package_lookup=lookup)
    planned = client.post("/rollouts/plan", WANTED)
    assert lookup.urls == [links.made[0][0]]
    assert "status 404" in planned.text
    assert links.secrets[0] not in planned.text
    links.error = PackageLinkError("Assign Storage Blob Delegator.", is_refusal=True)
    warned = client.post("/rollouts/plan", WANTED).body["warnings"]
    assert "Assign Storage Blob Delegator" in json.dumps(warned)
