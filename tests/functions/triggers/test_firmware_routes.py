"""Test the firmware catalogue over HTTP, and rollouts that name a version alone."""

import logging
from typing import Any
from urllib.parse import quote

import pytest

from functions.errors import LostRaceError
from functions.rollouts.model.firmware import Firmware
from tests.functions.triggers.client import Client
from tests.functions.use_cases.world import World, devices

HASH, OTHER_HASH = "a" * 64, "b" * 64
FACTORY = {"packageUri": "https://packages.example/fw-1.0.0.bin", "sha256": HASH}
NEW = {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}
TARGET = {"deviceIds": ["d-000", "d-001"]}
SECRET = "c2VjcmV0c2lnbmF0dXJl"


@pytest.fixture
def world() -> World:
    return World(devices(3), still=True)


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def put(client: Client, version: str = "1.0.0", status: int = 201, **more: Any) -> Any:
    response = client.put(f"/firmware/{version}", FACTORY | more)
    assert response.status == status, response.text
    return response.body


def create(client: Client, status: int = 201, **firmware: Any) -> Any:
    body = {"firmware": NEW | firmware, "target": TARGET}
    if "packageUri" in firmware and firmware["packageUri"] is None:
        del body["firmware"]["packageUri"]
    response = client.post("/rollouts", body)
    assert response.status == status, response.text
    return response.body


def create_by_version(client: Client, version: str, status: int = 201) -> Any:
    return create(client, status, version=version, packageUri=None)


def test_a_firmware_is_registered_and_read(client: Client) -> None:
    body = FACTORY | {"sizeBytes": 9, "reportedAs": ["1.0"], "notes": "Lots 1 to 40.", "by": "ada"}
    made = client.put("/firmware/1.0.0", body)
    assert made.status == 201
    assert made.headers["Location"].endswith("/api/firmware/1.0.0")
    assert made.headers["ETag"] == '"1"'
    expected = {
        **{name: body[name] for name in body if name != "by"},
        "version": "1.0.0",
        "manifest": None,
        "registered": True,
        "used": False,
        "revision": 1,
    }
    assert expected.items() <= made.body.items()
    assert made.body["createdBy"] == {"kind": "api", "id": None, "name": "ada"}
    assert made.body["createdAt"] == made.body["changedAt"] == "2026-11-23T12:00:00.000Z"
    assert client.get("/firmware/1.0.0").body == made.body
    assert client.get("/firmware").body == {"value": [made.body]}


def test_an_equal_put_changes_nothing(client: Client, world: World) -> None:
    first = put(client, by="ada")
    world.pass_time(hours=1)
    assert put(client, status=200, by="bob") == first


def test_a_put_replaces_notes_and_location_and_says_who(client: Client, world: World) -> None:
    put(client, notes="old", by="ada")
    create_by_version(client, "1.0.0")
    world.pass_time(hours=1)
    moved = put(client, status=200, packageUri="https://other.example/1.bin", by="bob")
    assert (moved["notes"], moved["packageUri"]) == ("", "https://other.example/1.bin")
    assert (moved["createdBy"]["name"], moved["changedBy"]["name"]) == ("ada", "bob")
    assert moved["changedAt"] > moved["createdAt"]
    assert moved["used"]


@pytest.mark.parametrize("version", ["1.0.0", "main/7 β#1", "v" * 64, "100%", "a..b"])
def test_any_version_has_an_address(client: Client, version: str) -> None:
    made = client.put(f"/firmware/{quote(version, safe='')}", FACTORY)
    assert (made.status, made.body["version"]) == (201, version)
    path = made.headers["Location"].partition("/api")[2]
    assert client.get(path).body == made.body


@pytest.mark.parametrize(
    ("version", "body", "pointer"),
    [
        ("1.0.0", FACTORY | {"version": "1.0.1"}, "/version"),
        ("1.0.0", {"sha256": HASH}, "/packageUri"),
        ("1.0.0", FACTORY | {"sha256": "x"}, "/sha256"),
        ("1.0.0", FACTORY | {"notes": "a\u202eb"}, "/notes"),
        ("1.0.0", FACTORY | {"reportedAs": ["1", "1"]}, "/reportedAs"),
        ("1.0.0", FACTORY | {"packageUri": "https://packages.example/1?***"}, "/packageUri"),
        (
            "1.0.0",
            FACTORY | {"packageUri": "https://p.example/1?sig=x&se=2020-01-01"},
            "/packageUri",
        ),
        ("v" * 65, FACTORY, None),
        ("%20", FACTORY, None),
        ("a%E2%80%AEb", FACTORY, None),
    ],
)
def test_a_put_that_is_not_valid_stores_nothing(
    client: Client, version: str, body: Any, pointer: str | None
) -> None:
    response = client.put(f"/firmware/{version}", body)
    assert response.status == 422
    assert [item["pointer"] for item in response.body.get("errors") or []] == (
        [pointer] if pointer else []
    )
    assert client.get("/firmware").body == {"value": []}


def test_a_version_that_is_not_known_is_a_404_that_says_what_to_do(client: Client) -> None:
    response = client.get("/firmware/9.9.9")
    assert response.status == 404
    named = "Register it with fleet firmware set or PUT /firmware/{version}."
    assert named in response.body["detail"]
    put(client, reportedAs=["1.0"])
    assert "another name of '1.0.0'" in client.get("/firmware/1.0").body["detail"]


def test_lists_have_pages_and_no_other_names(client: Client) -> None:
    for number in range(5):
        put(client, f"1.{number}.0", reportedAs=[f"1.{number}"])
    first = client.get("/firmware?limit=2").body
    assert [item["version"] for item in first["value"]] == ["1.0.0", "1.1.0"]
    second = client.get(first["nextLink"].partition("/api")[2]).body
    third = client.get(second["nextLink"].partition("/api")[2]).body
    assert [item["version"] for item in second["value"]] == ["1.2.0", "1.3.0"]
    assert [item["version"] for item in third["value"]] == ["1.4.0"]
    assert "nextLink" not in third
    assert client.get("/firmware?cursor=rubbish!").status == 422


def test_if_match_refuses_what_was_changed_since(client: Client) -> None:
    assert client.put("/firmware/1.0.0", FACTORY, if_match='"1"').status == 412
    put(client)
    assert client.put("/firmware/1.0.0", FACTORY | {"notes": "a"}, if_match='"1"').status == 200
    stale = client.put("/firmware/1.0.0", FACTORY | {"notes": "b"}, if_match='"1"')
    assert stale.status == 412
    assert "has the revision 2" in stale.body["detail"]
    assert client.get("/firmware/1.0.0").body["notes"] == "a"
    assert client.put("/firmware/1.0.0", FACTORY, if_match="1").status == 422


def test_a_rollout_may_name_a_version_alone(client: Client, world: World) -> None:
    put(client, "2.4.0", sizeBytes=9)
    body = {"firmware": {"version": "2.4.0"}, "target": TARGET}
    planned = client.post("/rollouts/plan", body)
    assert planned.status == 200
    made = client.post("/rollouts", body | {"planHash": planned.body["planHash"]})
    assert made.status == 201
    entry = client.get("/firmware/2.4.0").body
    assert made.body["firmware"] == {
        name: entry[name]
        for name in ("version", "packageUri", "sha256", "sizeBytes", "manifest", "reportedAs")
    }
    assert entry["used"]
    assert world.until_over(made.body["id"]).counts.completed == 2


@pytest.mark.parametrize("route", ["/rollouts", "/rollouts/plan"])
def test_a_version_that_the_catalogue_does_not_know_is_refused(client: Client, route: str) -> None:
    put(client, reportedAs=["1.0"])
    for version, said in (
        ("9.9.9", "register it with fleet firmware set or PUT"),
        ("1.0", "another name of 1.0.0"),
    ):
        response = client.post(route, {"firmware": {"version": version}, "target": TARGET})
        (error,) = response.body["errors"]
        assert (response.status, error["pointer"]) == (422, "/firmware/version")
        assert said in error["detail"]


@pytest.mark.parametrize("more", [{"sha256": HASH}, {"sizeBytes": 1}, {"reportedAs": []}])
def test_a_version_with_a_part_of_the_rest_is_refused(client: Client, more: Any) -> None:
    put(client)
    firmware = {"version": "1.0.0", **more}
    response = client.post("/rollouts", {"firmware": firmware, "target": TARGET})
    (error,) = response.body["errors"]
    assert (response.status, error["pointer"]) == (422, "/firmware/packageUri")


def test_a_plan_changes_with_the_catalogue(client: Client) -> None:
    put(client, "2.4.0")
    body = {"firmware": {"version": "2.4.0"}, "target": TARGET}
    planned = client.post("/rollouts/plan", body).body["planHash"]
    put(client, "2.4.0", status=200, sha256=OTHER_HASH)
    changed = client.post("/rollouts", body | {"planHash": planned})
    assert (changed.status, changed.body["type"][-12:]) == (409, "plan-changed")


def test_an_expired_link_of_the_catalogue_is_refused_at_the_version(
    client: Client, world: World
) -> None:
    link = f"https://packages.example/1?se=2026-11-24T00:00:00Z&sig={SECRET}"
    put(client, packageUri=link)
    world.pass_time(days=2)
    refused = create_by_version(client, "1.0.0", status=422)
    (error,) = refused["errors"]
    assert error["pointer"] == "/firmware/version"
    assert "Register it again with fleet firmware set or PUT" in error["detail"]


def test_factory_firmware_lets_the_first_rollout_be_rolled_back(
    client: Client, world: World
) -> None:
    first = create(client)["id"]
    world.until_over(first)
    refused = client.post(f"/rollouts/{first}/rollback")
    assert refused.status == 409
    advice = "with fleet firmware set or PUT /firmware/{version} and roll back again"
    assert advice in refused.body["detail"]
    put(client)
    back = client.post(f"/rollouts/{first}/rollback")
    assert back.status == 201
    assert back.body["firmware"]["version"] == "1.0.0"
    assert world.until_over(back.body["id"]).counts.completed == 2
    shown = client.get(f"/rollouts/{back.body['id']}/devices").body["value"]
    assert {item["runningVersion"] for item in shown} == {"1.0.0"}


def test_factory_firmware_is_found_under_the_name_that_devices_report(
    client: Client, world: World
) -> None:
    put(client, "factory-2026", reportedAs=["1.0.0"])
    first = create(client)["id"]
    world.until_over(first)
    moved = "https://other.example/factory.bin"
    put(client, "factory-2026", status=200, packageUri=moved, reportedAs=["1.0.0"])
    back = client.post(f"/rollouts/{first}/rollback")
    assert back.status == 201, back.text
    assert back.body["firmware"]["packageUri"] == moved
    put(client, "factory-2026", status=200)  # devices no longer report this name
    client.post(f"/rollouts/{back.body['id']}/cancel")
    world.ticks(30)
    assert client.post(f"/rollouts/{first}/rollback").status == 409


@pytest.mark.parametrize(
    ("stored", "new", "status"),
    [
        ({}, {"packageUri": "https://other.example/1"}, 200),  # the same bytes elsewhere
        ({}, {"sha256": OTHER_HASH}, 409),
        ({}, {"sha256": None}, 409),  # could be anything
        ({"sha256": None}, {"sha256": HASH}, 200),  # at the same location
        ({"sha256": None}, {"packageUri": "https://other.example/1"}, 409),
        ({"sha256": None}, {"packageUri": "https://other.example/1", "sha256": None}, 409),
    ],
)
@pytest.mark.parametrize("is_used", [True, False])
def test_a_version_that_was_used_keeps_its_package(
    client: Client, stored: Any, new: Any, status: int, is_used: bool
) -> None:
    put(client, **stored)
    if is_used:
        create_by_version(client, "1.0.0")
    before = client.get("/firmware/1.0.0").body
    response = client.put("/firmware/1.0.0", FACTORY | new)
    assert response.status == (status if is_used else 200), response.text
    if response.status == 409:
        assert "another version" in response.body["detail"]
        assert client.get("/firmware/1.0.0").body == before


def test_a_signed_link_may_be_renewed_without_a_hash(client: Client) -> None:
    link = "https://packages.example/1?se=2027-01-01T00:00:00Z&sig="
    put(client, packageUri=f"{link}one", sha256=None)
    create_by_version(client, "1.0.0")
    put(client, status=200, packageUri=f"{link}two", sha256=None)
    other = FACTORY | {"packageUri": f"{link}two".replace("/1?", "/2?"), "sha256": None}
    assert client.put("/firmware/1.0.0", other).status == 409


def test_a_rollout_with_another_package_leaves_what_was_registered(client: Client) -> None:
    registered = put(client, "2.4.0", notes="approved")
    create(client, sha256=OTHER_HASH)
    kept = client.get("/firmware/2.4.0").body
    assert kept == registered | {"used": True, "revision": 2}
    assert client.put("/firmware/2.4.0", FACTORY | {"sha256": OTHER_HASH}).status == 409


def test_a_rollout_records_its_firmware_and_who_created_it(client: Client) -> None:
    create(client, sha256=HASH)
    entry = client.get("/firmware/2.4.0").body
    assert (entry["registered"], entry["used"]) == (False, True)
    assert entry["createdBy"]["name"] == "api"
    assert put(client, "2.4.0", status=200)["registered"]


def test_a_package_that_is_replaced_while_a_rollout_is_created_is_not_rolled_out(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client, "2.4.0")
    query = world.hub.read_twins

    def replaced_meanwhile(*arguments: Any) -> Any:
        put(client, "2.4.0", status=200, sha256=OTHER_HASH)
        monkeypatch.setattr(world.hub, "read_twins", query)
        return query(*arguments)

    monkeypatch.setattr(world.hub, "read_twins", replaced_meanwhile)
    refused = create_by_version(client, "2.4.0", status=409)
    assert "changed by another request" in refused["detail"]
    assert client.get("/rollouts").body == {"value": []}
    assert not client.get("/firmware/2.4.0").body["used"]


def test_a_put_that_loses_a_race_decides_again(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client, "2.4.0")
    save = world.stores.catalogue.save_entry

    def used_meanwhile(*_: Any) -> str:
        monkeypatch.setattr(world.stores.catalogue, "save_entry", save)
        create_by_version(client, "2.4.0")
        raise LostRaceError("Changed by another request.")

    monkeypatch.setattr(world.stores.catalogue, "save_entry", used_meanwhile)
    assert client.put("/firmware/2.4.0", FACTORY | {"sha256": OTHER_HASH}).status == 409
    assert client.get("/firmware/2.4.0").body["sha256"] == HASH


def test_an_entry_of_an_earlier_release_counts_as_used(client: Client, world: World) -> None:
    world.stores.catalogue.save(Firmware(version="1.0.0", package_uri="https://x.example/1"))
    entry = client.get("/firmware/1.0.0").body
    assert (entry["used"], entry["registered"], entry["createdAt"]) == (True, False, None)
    assert client.put("/firmware/1.0.0", FACTORY).status == 409


def test_no_response_and_no_log_line_shows_the_secret(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    link = f"https://packages.example/1.bin?se=2027-01-01T00:00:00Z&sig={SECRET}"
    made = put(client, packageUri=link, notes=f"From {link} see {SECRET}")
    shown = "https://packages.example/1.bin?***"
    assert (made["packageUri"], made["notes"]) == (shown, f"From {shown} see ***")
    responses = [client.get("/firmware"), client.get("/firmware/1.0.0")]
    responses += [client.put("/firmware/1.0.0", FACTORY | {"packageUri": shown})]
    create_by_version(client, "1.0.0")
    responses += [client.put("/firmware/1.0.0", FACTORY | {"sha256": OTHER_HASH})]
    assert [item.status for item in responses] == [200, 200, 422, 409]
    for response in responses:
        assert SECRET not in response.text
    assert SECRET not in caplog.text
