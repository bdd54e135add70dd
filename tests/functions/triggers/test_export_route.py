"""The export of a rollout over HTTP: complete, in parts, the same as the other routes."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.triggers import http_export
from functions.use_cases import export
from functions.wire.export import ExportLineSchema
from simulator.simulated_fleet.shares import Fault
from tests.functions.triggers.client import Client
from tests.functions.triggers.described import document, validator
from tests.functions.triggers.routing import send
from tests.functions.use_cases.world import World, device


@pytest.fixture
def world() -> World:
    fleet = [device(f"d-{number:03}") for number in range(250)]
    fleet[7] = device("d-007", fault=Fault.FAILING)
    return World(fleet, still=True)


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def create(client: Client, world: World) -> str:
    body = {
        "firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"},
        "target": {"deviceIds": list(world.hub.devices)},
        "strategy": {"waves": [{"name": "canary", "size": 20}]},
    }
    created = client.post("/rollouts", body)
    assert created.status == 201, created.text
    return str(created.body["id"])


def export_parts(client: Client, rollout_id: str) -> Iterator[list[Any]]:
    """Yield the lines of each response, the last line of kind `more` included."""
    path: str | None = f"/rollouts/{rollout_id}/export"
    while path is not None:
        response = client.get(path)
        assert response.status == 200, response.text
        lines = [json.loads(line) for line in response.text.splitlines()]
        yield lines
        path = next(
            (x["nextLink"].partition("/api")[2] for x in lines if x["kind"] == "more"), None
        )


def export_whole(client: Client, rollout_id: str) -> list[Any]:
    parts = export_parts(client, rollout_id)
    return [line for part in parts for line in part if line["kind"] != "more"]


def list_whole(client: Client, path: str) -> Iterator[Any]:
    """Yield the items of a list, page after page."""
    while path:
        page = client.get(path).body
        yield from page["value"]
        path = page.get("nextLink", "").partition("/api")[2]


def assert_same_as_routes(client: Client, rollout_id: str, lines: list[Any]) -> None:
    path = f"/rollouts/{rollout_id}"
    devices = [item["deviceId"] for item in list_whole(client, f"{path}/devices?limit=100")]
    assert lines == [
        {"kind": "rollout", "rollout": client.get(path).body},
        *({"kind": "device", "device": client.get(f"{path}/devices/{x}").body} for x in devices),
        *({"kind": "event", "event": event} for event in list_whole(client, f"{path}/events")),
    ]


@pytest.mark.parametrize("ticks", [0, 4, 200])
def test_it_holds_what_the_other_routes_show(world: World, client: Client, ticks: int) -> None:
    rollout_id = create(client, world)
    world.ticks(ticks)
    lines = export_whole(client, rollout_id)
    assert_same_as_routes(client, rollout_id, lines)
    assert sum(line["kind"] == "device" for line in lines) == 250


def test_a_large_export_is_continued_by_links(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout_id = create(client, world)
    world.ticks(200)
    (whole,) = export_parts(client, rollout_id)
    monkeypatch.setattr(http_export, "MAX_RESPONSE_BYTES", 1)
    monkeypatch.setattr(export, "_EVENTS_AT_ONCE", 2)
    parts = list(export_parts(client, rollout_id))
    assert [part[-1]["kind"] for part in parts] == ["more"] * (len(parts) - 1) + ["event"]
    assert max(map(len, parts)) == 101
    assert [line for part in parts for line in part if line["kind"] != "more"] == whole


def test_a_link_has_no_key(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_export, "MAX_RESPONSE_BYTES", 1)
    response = client.get(f"/rollouts/{create(client, world)}/export?code=secret-key")
    assert "more" in response.text
    assert "secret-key" not in response.text


def test_each_line_is_as_described(world: World, client: Client) -> None:
    rollout_id = create(client, world)
    line = validator(ExportLineSchema.published_name("serialization"))
    for found in export_whole(client, rollout_id):
        line.validate(found)
    operation = document()["paths"]["/rollouts/{id}/export"]["get"]
    assert list(operation["responses"]["200"]["content"]) == ["application/x-ndjson"]


def test_a_rollout_that_is_being_prepared_has_no_devices_yet(client: Client) -> None:
    body = {
        "firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"},
        "target": {"condition": "tags.site = 'berlin'"},
        "strategy": {"resolveTarget": "start"},
        "startAt": "2026-12-01T02:00:00Z",
    }
    rollout_id = client.post("/rollouts", body).body["id"]
    lines = export_whole(client, rollout_id)
    assert {line["kind"] for line in lines} == {"rollout", "event"}
    assert_same_as_routes(client, rollout_id, lines)


@pytest.mark.parametrize(
    "cursor",
    [
        "foreign",
        ".5",
        "devices",
        "devices.",
        "devices.-1",
        "devices.x",
        "devices.1234567890",
        "events.*",
    ],
)
def test_a_foreign_cursor_is_refused(world: World, client: Client, cursor: str) -> None:
    response = client.get(f"/rollouts/{create(client, world)}/export?cursor={cursor}")
    assert response.status == 422
    assert "query parameter cursor is not a cursor" in response.text


def test_an_unknown_rollout_is_not_found(client: Client) -> None:
    assert client.get("/rollouts/98233500000000-0123456789ab/export").status == 404
    assert client.get(f"/rollouts/{'x' * 9000}/export").status == 404


def test_a_rollout_that_is_removed_meanwhile_is_not_exported_in_part(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout_id = create(client, world)
    monkeypatch.setattr(world.stores.rollouts, "get_revision", lambda _: None)
    response = client.get(f"/rollouts/{rollout_id}/export")
    assert response.status == 404
    assert "was removed while it was exported" in response.text


def test_it_is_compressed_and_has_a_head(world: World, client: Client) -> None:
    path = f"/rollouts/{create(client, world)}/export"
    plain, packed, head = (
        send(method, path, b"", headers)
        for method, headers in (
            ("GET", {}),
            ("GET", {"accept-encoding": "gzip"}),
            ("HEAD", {}),
        )
    )
    assert plain is not None
    assert packed is not None
    assert head is not None
    assert plain.mimetype == packed.mimetype == head.mimetype == "application/x-ndjson"
    assert gzip.decompress(packed.get_body()) == plain.get_body()
    assert (head.status_code, head.get_body()) == (200, b"")
