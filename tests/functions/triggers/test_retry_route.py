"""Check a retry with a new URI, for packages whose link has expired."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.method_outcome import MethodResponse
from simulator.rehearsal.virtual_device import VirtualDevice
from tests.functions.triggers.client import Client
from tests.functions.use_cases.world import World, devices

OLD = "https://packages.example/fw.bin?sig=b2xkc2lnbmF0dXJl"
NEW = "https://mirror.example/fw.bin?sig=bmV3c2lnbmF0dXJl"
SHOWN = "https://mirror.example/fw.bin?***"
BODY = {
    "firmware": {"version": "2.4.0", "packageUri": OLD},
    "target": {"deviceIds": ["d-000", "d-001"]},
}


@pytest.fixture
def world() -> World:
    return World(devices(2))


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the URIs that devices were sent; they accept only the new one."""
    uris: list[str] = []
    receive = VirtualDevice.receive_method

    def careful(
        device: VirtualDevice, payload: Mapping[str, Any], *more: Any, **named: Any
    ) -> MethodResponse:
        uris.append(payload["fwPackageUri"])
        if uris[-1] == OLD:
            return MethodResponse(status=400, payload={"Response": f"expired: {OLD}"})
        return receive(device, payload, *more, **named)

    monkeypatch.setattr(VirtualDevice, "receive_method", careful)
    return uris


def failed_rollout(client: Client) -> str:
    created = client.post("/rollouts", BODY)
    assert created.body["counts"]["failed"] == 2
    return str(created.body["id"])


def test_the_next_attempts_download_from_the_new_uri(
    client: Client, world: World, sent: list[str]
) -> None:
    rollout_id = failed_rollout(client)
    response = client.post(
        f"/rollouts/{rollout_id}/retry", {"packageUri": NEW, "reason": "expired"}
    )
    assert (response.status, response.body["firmware"]["packageUri"]) == (200, SHOWN)
    assert world.until_over(rollout_id).counts.completed == 2
    assert sent == [OLD, OLD, NEW, NEW]
    assert world.rollout(rollout_id).firmware.package_uri == NEW


def test_the_audit_trail_names_the_new_uri_without_its_secret(
    client: Client, world: World, sent: list[str]
) -> None:
    rollout_id = failed_rollout(client)
    client.post(f"/rollouts/{rollout_id}/retry", {"packageUri": NEW, "reason": "expired"})
    world.until_over(rollout_id)
    assert sent
    events = client.get(f"/rollouts/{rollout_id}/events")
    (event,) = [event for event in events.body["value"] if event["action"] == "retried"]
    assert event["message"] == (
        f"2 failed devices queued again by api, with the package from {SHOWN}: expired"
    )
    for path in ("", "/events", "/devices/d-000"):
        response = client.get(f"/rollouts/{rollout_id}{path}").text
        assert "b2xk" not in response + events.text
        assert "bmV3" not in response


def test_a_later_rollback_knows_the_new_uri_too(
    client: Client, world: World, sent: list[str]
) -> None:
    client.post(f"/rollouts/{failed_rollout(client)}/retry", {"packageUri": NEW})
    known = world.stores.catalogue.get("2.4.0")
    assert known is not None
    assert known.package_uri == NEW
    assert sent


def test_a_later_rollout_of_the_version_keeps_its_uri_in_the_catalogue(
    client: Client, world: World, sent: list[str]
) -> None:
    rollout_id = failed_rollout(client)
    other = Firmware(version="2.4.0", package_uri="https://other.example/fw.bin")
    world.stores.catalogue.save(other)
    client.post(f"/rollouts/{rollout_id}/retry", {"packageUri": NEW})
    assert world.stores.catalogue.get("2.4.0") == other
    assert sent


@pytest.mark.parametrize("body", [None, {}, {"packageUri": None}, {"by": "ada"}])
def test_without_a_new_uri_the_address_is_unchanged(
    client: Client, world: World, sent: list[str], body: Any
) -> None:
    rollout_id = failed_rollout(client)
    assert client.post(f"/rollouts/{rollout_id}/retry", body).status == 200
    world.until_over(rollout_id)
    assert set(sent) == {OLD}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"packageUri": "fw.bin?sig=b2xk"}, "/packageUri"),
        ({"packageUri": SHOWN}, "/packageUri"),
        ({"packageUri": 7}, "/packageUri"),
        ({"packageUrl": NEW}, "/packageUrl"),
    ],
)
def test_an_invalid_uri_is_refused_and_retries_nothing(
    client: Client, world: World, sent: list[str], body: Any, pointer: str
) -> None:
    rollout_id = failed_rollout(client)
    response = client.post(f"/rollouts/{rollout_id}/retry", body)
    assert response.status == 422
    assert [error["pointer"] for error in response.body["errors"]] == [pointer]
    assert "b2xk" not in response.text
    assert world.rollout(rollout_id).counts.failed == len(sent) == 2


@pytest.mark.parametrize("command", ["pause", "cancel", "approve", "rollback"])
def test_other_commands_accept_no_uri(client: Client, command: str) -> None:
    rollout_id = client.post("/rollouts", BODY).body["id"]
    response = client.post(f"/rollouts/{rollout_id}/{command}", {"packageUri": NEW})
    assert (response.status, response.body["errors"][0]["pointer"]) == (422, "/packageUri")


def test_a_rollout_without_failures_keeps_its_uri(client: Client, world: World) -> None:
    rollout_id = client.post("/rollouts", BODY).body["id"]
    assert client.post(f"/rollouts/{rollout_id}/retry", {"packageUri": NEW}).status == 409
    assert world.rollout(rollout_id).firmware.package_uri == OLD


def rolled_back(client: Client, world: World, *versions: str) -> str:
    """Return the id of a rollback whose devices fail, each on its way to its own version."""
    for number, version in enumerate(versions):
        firmware = {"version": version, "packageUri": f"https://packages.example/{version}.bin"}
        target = {"deviceIds": [f"d-{number:03}"]}
        world.until_over(
            client.post("/rollouts", {"firmware": firmware, "target": target}).body["id"]
        )
    newest = BODY | {"firmware": {"version": "2.4.0", "packageUri": NEW}}
    rollout_id = client.post("/rollouts", newest).body["id"]
    world.until_over(rollout_id)
    for device in world.hub.devices.values():
        device.disconnect(world.now.timestamp())
    back = client.post(f"/rollouts/{rollout_id}/rollback")
    assert back.status == 201
    world.clock.now += timedelta(days=8)
    world.ticks(3)
    assert world.rollout(back.body["id"]).counts.failed == 2
    return str(back.body["id"])


def test_a_rollback_to_one_version_may_get_a_new_uri(client: Client, world: World) -> None:
    back_id = rolled_back(client, world, "2.0.0", "2.0.0")
    assert client.post(f"/rollouts/{back_id}/retry", {"packageUri": NEW}).status == 200
    assert world.rollout(back_id).firmware.package_uri == NEW


def test_one_uri_cannot_be_right_for_a_rollback_to_several_versions(
    client: Client, world: World
) -> None:
    back_id = rolled_back(client, world, "2.0.0", "2.1.0")
    before = world.rollout(back_id)
    response = client.post(f"/rollouts/{back_id}/retry", {"packageUri": NEW})
    assert response.status == 409
    assert "several versions (2.0.0, 2.1.0)" in response.body["detail"]
    assert world.rollout(back_id) == before
    assert client.post(f"/rollouts/{back_id}/retry").status == 200


# -- which devices


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"deviceIds": []}, "/deviceIds"),
        ({"deviceIds": "d-000"}, "/deviceIds"),
        ({"deviceIds": ["d-000", "d-000"]}, "/deviceIds/1"),
        ({"deviceIds": ["d-000", "a b"]}, "/deviceIds/1"),
        ({"deviceIds": ["d-000", "ghost"]}, "/deviceIds/1"),
        ({"deviceIds": [f"d-{number}" for number in range(1001)]}, "/deviceIds"),
        ({"states": []}, "/states"),
        ({"states": "failed"}, "/states"),
        ({"states": ["failed", "completed"]}, "/states/1"),
        ({"states": ["failed", "failed"]}, "/states"),
        ({"states": None}, "/states"),
    ],
)
def test_an_invalid_choice_of_devices_is_refused_and_nothing_is_queued(
    client: Client, world: World, sent: list[str], body: Any, pointer: str
) -> None:
    rollout_id = failed_rollout(client)
    before = world.rollout(rollout_id)
    response = client.post(f"/rollouts/{rollout_id}/retry", body)
    assert response.status == 422
    assert [error["pointer"] for error in response.body["errors"]] == [pointer]
    assert (world.rollout(rollout_id), len(sent)) == (before, 2)


def test_a_chosen_device_is_tried_again_alone(
    client: Client, world: World, sent: list[str]
) -> None:
    rollout_id = failed_rollout(client)
    body = {"deviceIds": ["d-001"], "packageUri": NEW}
    response = client.post(f"/rollouts/{rollout_id}/retry", body)
    assert (response.status, response.body["counts"]["queued"]) == (200, 1)
    world.until_over(rollout_id)
    assert sent == [OLD, OLD, NEW]
    again = client.post(f"/rollouts/{rollout_id}/retry", {"deviceIds": ["d-000", "d-001"]})
    assert (again.status, again.body["type"]) == (409, "urn:fleet-rollout:problem:conflict")
    assert again.body["errors"] == [{"pointer": "/deviceIds/1", "detail": "'d-001' is completed"}]


def test_the_devices_of_a_cancelled_rollout_are_queued_again_by_their_state(
    client: Client, world: World
) -> None:
    body = BODY | {"strategy": {"window": {"start": "01:00", "end": "02:00", "timezone": "UTC"}}}
    rollout_id = client.post("/rollouts", body).body["id"]
    assert client.post(f"/rollouts/{rollout_id}/cancel").body["counts"]["cancelled"] == 2
    refused = client.post(f"/rollouts/{rollout_id}/retry")
    assert refused.status == 409
    assert "It has 2 cancelled: name these states" in refused.body["detail"]
    response = client.post(f"/rollouts/{rollout_id}/retry", {"states": ["cancelled"]})
    assert (response.status, response.body["status"]) == (200, "running")
    assert response.body["counts"]["queued"] == 2
    world.pass_time(hours=13.5)
    assert world.until_over(rollout_id).counts.completed == 2


def test_the_signature_of_an_earlier_link_is_hidden_after_a_retry_with_a_fresh_one(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch, sent: list[str]
) -> None:
    """A device may repeat the old link, or its signature alone, in its later responses."""
    rollout_id = failed_rollout(client)
    assert client.post(f"/rollouts/{rollout_id}/retry", {"packageUri": NEW}).status == 200
    assert world.rollout(rollout_id).definition.earlier_links == (OLD,)
    said = MethodResponse(status=400, payload={"Response": "no access with b2xkc2lnbmF0dXJl"})
    monkeypatch.setattr(VirtualDevice, "receive_method", lambda *_, **__: said)
    world.until_over(rollout_id)
    text = client.get(f"/rollouts/{rollout_id}/devices/d-000").text
    assert "no access with ***" in text
    assert "b2xk" not in text
    assert len(sent) == 2
