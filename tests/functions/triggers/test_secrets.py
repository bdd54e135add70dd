"""Check that the secret in a package's URI reaches only the device and the store."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.method_outcome import MethodResponse
from functions.triggers.route import declared_routes
from simulator.rehearsal.virtual_device import VirtualDevice
from tests.functions.triggers.client import Client, Response
from tests.functions.use_cases.world import World, devices

SECRET = "c2VjcmV0c2lnbmF0dXJl"
ADDRESS = "https://packages.example/fw.bin"
URI = f"{ADDRESS}?sv=2024-11-04&sr=b&sig={SECRET}%3D"
SHOWN = f"{ADDRESS}?***"
FIRMWARE = {"version": "2.4.0", "packageUri": URI}
EARLIER = Firmware(version="1.0.0", package_uri=f"https://packages.example/1.bin?sig={SECRET}")
COMMANDS = ("pause", "resume", "cancel", "approve", "retry", "rollback")


def wanted(*device_ids: str, **changes: Any) -> dict[str, Any]:
    ids = device_ids or ("d-000", "d-001")
    return {"firmware": FIRMWARE, "target": {"deviceIds": list(ids)}, **changes}


@pytest.fixture
def world() -> World:
    world = World(devices(3))
    world.stores.catalogue.save(EARLIER)
    return world


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """Return the payloads that devices were sent and repeat in their responses; d-001 rejects."""
    payloads: list[Mapping[str, Any]] = []
    receive = VirtualDevice.receive_method

    def repeating(
        device: VirtualDevice, payload: Mapping[str, Any], *more: Any, **named: Any
    ) -> MethodResponse:
        payloads.append(payload)
        result = receive(device, payload, *more, **named)
        response = {"Response": f"About {payload['fwPackageUri']}", "received": payload}
        return replace(result, status=400 if device.device_id == "d-001" else 200, payload=response)

    monkeypatch.setattr(VirtualDevice, "receive_method", repeating)
    return payloads


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make d-002 report a failure that names the URI."""
    twin = VirtualDevice.read_twin

    def complaining(device: VirtualDevice, now: float) -> DeviceTwin:
        found = twin(device, now)
        about = found.reported.get("firmwareUpdate")
        if device.device_id != "d-002" or not about:
            return found
        error = {"errorCode": "packageUriExpired", "errorMessage": f"403 for {URI} ({SECRET}=)"}
        reported = {**found.reported, "firmwareStatus": "failed", "firmwareUpdate": about | error}
        return replace(found, reported=reported)

    monkeypatch.setattr(VirtualDevice, "read_twin", complaining)


def everything(client: Client, rollout_id: str) -> Iterator[Response]:
    """Send every request about the rollout; yield the responses."""
    yield client.get("/rollouts")
    for path in ("", "/devices", "/events", "/states", "/export"):
        yield client.get(f"/rollouts/{rollout_id}{path}")
    for device in ("d-000", "d-001", "d-002"):
        yield client.get(f"/rollouts/{rollout_id}/devices/{device}")
        yield client.get(f"/devices/{device}/rollouts")
        yield client.delete(f"/devices/{device}/quarantine")
    yield client.post(f"/rollouts/{rollout_id}/gate/preview", {"failureGate": {"confidence": 0.9}})
    change = {"strategy": {"maxInFlight": 9}, "reason": "a test"}
    yield client.patch(f"/rollouts/{rollout_id}", change)
    for command in COMMANDS:
        yield client.post(f"/rollouts/{rollout_id}/{command}")


@pytest.mark.usefixtures("failing")
def test_no_route_and_no_log_line_shows_the_secret(
    client: Client,
    world: World,
    sent: list[Mapping[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    body = wanted("d-000", "d-001", "d-002")
    plan = client.post("/rollouts/plan", body)
    created = client.post("/rollouts", body, idempotency_key="k")
    assert (plan.status, created.status) == (200, 201)
    again = client.post("/rollouts", body, idempotency_key="k")
    world.ticks(30)
    responses = [plan, created, again, *everything(client, created.body["id"])]
    world.ticks(30)
    responses += everything(client, created.body["id"])
    assert {response.status for response in responses} >= {200, 201, 409}
    for response in responses:
        assert SECRET not in response.text
    assert SECRET not in caplog.text
    assert {payload["fwPackageUri"] for payload in sent} == {URI, EARLIER.package_uri}


@pytest.mark.usefixtures("failing", "sent")
def test_texts_of_devices_stay_readable(client: Client, world: World) -> None:
    created = client.post("/rollouts", wanted("d-000", "d-001", "d-002"))
    rollout_id = created.body["id"]
    world.ticks(30)
    assert created.body["firmware"]["packageUri"] == SHOWN
    accepted, refusing, failed = (
        client.get(f"/rollouts/{rollout_id}/devices/d-{number:03}").body for number in range(3)
    )
    assert accepted["method"]["payload"]["received"]["fwPackageUri"] == SHOWN
    assert refusing["method"]["payload"]["Response"] == f"About {SHOWN}"
    assert failed["error"]["message"].endswith(f"packageUriExpired: 403 for {SHOWN} (***)")


def test_every_route_is_called_here() -> None:
    elsewhere = {
        *("/health", "/health/ready", "/openapi.json", "/freeze"),  # about no rollout
        *("/webhooks", "/webhooks/{name}", "/webhooks/{name}/test"),  # test_webhook_routes.py
        *("/firmware", "/firmware/{version}"),  # test_firmware_routes.py
    }
    called = {
        "/rollouts", "/rollouts/plan", "/rollouts/{id}/gate/preview",
        "/devices/{deviceId}/rollouts", "/devices/{deviceId}/quarantine",
        "/rollouts/{id}/states", "/rollouts/{id}/export",
        *(f"/rollouts/{{id}}{rest}" for rest in ("", "/devices", "/devices/{deviceId}", "/events")),
        *(f"/rollouts/{{id}}/{command}" for command in COMMANDS),
    }  # fmt: skip
    assert {f"/{route.path}" for route in declared_routes()} == called | elsewhere


@pytest.mark.parametrize(
    "wrong",
    [
        f"ftp://packages.example/fw.bin?sig={SECRET}",
        f"https://ada:{SECRET}@/fw.bin",
        f"https://packages.example:99999/?sig={SECRET}",
        f"https://packages.example/{SECRET * 200}",
        [URI],
    ],
)
@pytest.mark.parametrize("route", ["/rollouts", "/rollouts/plan"])
def test_a_refusal_does_not_repeat_the_secret(
    client: Client, route: str, wrong: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    response = client.post(route, wanted(firmware=FIRMWARE | {"packageUri": wrong}))
    assert response.status == 422
    assert SECRET not in response.text + caplog.text


def test_a_uri_in_the_form_of_responses_is_refused(client: Client) -> None:
    response = client.post("/rollouts", wanted(firmware=FIRMWARE | {"packageUri": SHOWN}))
    (error,) = response.body["errors"]
    assert error["pointer"] == "/firmware/packageUri"
    assert error["detail"].startswith("must be the complete URI: responses show *** instead of its")


def test_a_repeat_with_another_query_is_another_request(client: Client) -> None:
    body = wanted()
    assert client.post("/rollouts", body, idempotency_key="k").status == 201
    other = json.loads(json.dumps(body).replace(SECRET, "b3RoZXI"))
    assert client.post("/rollouts", other, idempotency_key="k").status == 409


def test_the_repr_of_a_record_hides_the_secret(world: World) -> None:
    firmware = Firmware(version="2.4.0", package_uri=URI)
    request = world.request(firmware=firmware)
    assert SECRET not in repr(firmware) + repr(request)
