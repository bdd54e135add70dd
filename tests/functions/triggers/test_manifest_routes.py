"""A firmware's manifest: requested, checked, shown, and sent to the device."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import InvalidError
from functions.rollouts.model.method_outcome import MethodResponse
from functions.wire import create_request
from simulator.rehearsal.virtual_device import VirtualDevice
from tests.functions.manifests import SHA256, SIZE, signed
from tests.functions.triggers.client import Client
from tests.functions.use_cases.world import World, devices
from tests.functions.wire.bodies import body

FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"}
SOON = {"expiresAt": "2026-11-23T13:00:00Z"}  # an hour from the world's noon
ROUTES = ("/rollouts", "/rollouts/plan")


@pytest.fixture
def world() -> World:
    return World(devices(2))


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def wanted(manifest: str | None = None, **changes: Any) -> dict[str, Any]:
    firmware = FIRMWARE | {"manifest": manifest or signed()} | changes.pop("firmware", {})
    return {"firmware": firmware, "target": {"deviceIds": ["d-000", "d-001"]}, **changes}


def test_a_manifest_is_shown_kept_and_completes_the_firmware(client: Client, world: World) -> None:
    response = client.post("/rollouts", wanted())
    assert response.status == 201
    shown = response.body["firmware"]
    assert shown == FIRMWARE | {
        "manifest": signed(),
        "sha256": SHA256,
        "sizeBytes": SIZE,
        "reportedAs": [],
    }
    assert client.get(f"/rollouts/{response.body['id']}").body["firmware"] == shown
    assert client.get("/devices/d-000/rollouts").body["value"][0]["firmware"] == shown
    known = world.stores.catalogue.get("2.4.0")
    assert known is not None
    assert known.manifest == signed()


def test_a_manifest_reaches_the_device_with_its_fields(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    payloads: list[Mapping[str, Any]] = []

    def receive_method(_: VirtualDevice, payload: Mapping[str, Any], *_more: Any) -> MethodResponse:
        payloads.append(payload)
        return MethodResponse(status=200)

    monkeypatch.setattr(VirtualDevice, "receive_method", receive_method)
    client.post("/rollouts", wanted())
    assert [payload["manifest"] for payload in payloads] == [signed()] * 2
    assert (payloads[0]["sha256"], payloads[0]["sizeBytes"]) == (SHA256, SIZE)
    client.post("/rollouts", wanted() | {"firmware": FIRMWARE})
    assert not {"manifest", "sha256", "sizeBytes"} & payloads[-1].keys()


def test_a_firmware_without_a_manifest_has_null(client: Client) -> None:
    response = client.post("/rollouts", wanted() | {"firmware": FIRMWARE})
    assert response.body["firmware"] == FIRMWARE | {
        "reportedAs": [],
        "manifest": None, "sha256": None, "sizeBytes": None,
    }  # fmt: skip


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("field", "value"), [("version", "2.5.0"), ("sha256", "0" * 64), ("sizeBytes", 7)]
)
def test_a_firmware_that_differs_from_its_manifest_is_refused(
    client: Client, world: World, route: str, field: str, value: Any
) -> None:
    response = client.post(route, wanted(firmware={field: value}))
    assert response.status == 422
    (error,) = response.body["errors"]
    assert error["pointer"] == f"/firmware/{field}"
    assert error["detail"].startswith("differs from the manifest, which has")
    assert not world.stores.rollouts.list_rollouts(None, 1, None).items


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("manifest", ["", "a.b.c", "x" * 20_000, signed(sha256="abc")])
def test_an_invalid_manifest_is_refused(client: Client, route: str, manifest: str) -> None:
    response = client.post(route, wanted() | {"firmware": FIRMWARE | {"manifest": manifest}})
    assert response.status == 422
    (error,) = response.body["errors"]
    assert error["pointer"] == "/firmware/manifest"
    assert error["detail"].startswith("must be a")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("expires", "start", "status"),
    [
        ("2026-11-23T11:59:59Z", None, 422),
        ("2027-06-01T00:00:00Z", "2027-06-01T00:00:00Z", 422),
        ("2027-06-01T00:00:01Z", "2027-06-01T00:00:00Z", None),
    ],
)
def test_a_manifest_must_hold_until_the_rollout_begins(
    client: Client, route: str, expires: str, start: str | None, status: int | None
) -> None:
    response = client.post(route, wanted(signed(expiresAt=expires), startAt=start))
    assert response.status == (status or (200 if route == "/rollouts/plan" else 201))
    if status:
        (error,) = response.body["errors"]
        assert error["pointer"] == "/firmware/manifest"
        assert "sign it again" in error["detail"]


def test_a_repeat_succeeds_even_when_the_manifest_has_expired(client: Client, world: World) -> None:
    first = client.post("/rollouts", wanted(signed(**SOON)), idempotency_key="k")
    world.clock.now += timedelta(hours=2)
    again = client.post("/rollouts", wanted(signed(**SOON)), idempotency_key="k")
    assert (again.status, again.body["id"]) == (200, first.body["id"])
    other = client.post("/rollouts", wanted(signed(sequence=8, **SOON)), idempotency_key="k")
    assert other.status == 409


@given(st.text(max_size=60) | st.lists(st.text("aA0-_=e", max_size=9)).map(".".join))
def test_any_text_is_refused_as_a_manifest(manifest: str) -> None:
    with pytest.raises(InvalidError) as caught:
        create_request.parse(body(firmware=FIRMWARE | {"manifest": manifest}))
    assert [field.pointer for field in caught.value.fields] == ["/firmware/manifest"]
