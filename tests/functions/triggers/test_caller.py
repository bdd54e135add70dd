"""Test who the API says created or changed a rollout."""

import base64
import json
from typing import Any

import pytest

from tests.functions.triggers.client import Client
from tests.functions.use_cases.world import World, devices

BODY = {
    "firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"},
    "target": {"deviceIds": ["d-000"]},
}
API = {"kind": "api", "id": None, "name": "api"}
ADA = {
    "x_ms_client_principal_id": "object-1",
    "x_ms_client_principal_name": "ada@example.com",
}


def principal(*claims: tuple[str, Any]) -> str:
    """Return the header that App Service makes of a token."""
    body = {"auth_typ": "aad", "claims": [{"typ": name, "val": value} for name, value in claims]}
    return base64.b64encode(json.dumps(body).encode()).decode()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("ROLLOUT_TRUST_EASY_AUTH", "true")
    return Client(World(devices(1)), monkeypatch)


def created_by(client: Client, **headers: str) -> Any:
    response = client.post("/rollouts", BODY, **headers)
    assert response.status == 201
    events = client.get(f"/rollouts/{response.body['id']}/events").body["value"]
    assert events[0]["by"] == response.body["createdBy"]["name"]
    assert (
        client.get(f"/rollouts/{response.body['id']}").body["createdBy"]
        == (response.body["createdBy"])
    )
    return response.body["createdBy"]


def test_without_app_service_authentication_its_headers_are_ignored(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROLLOUT_TRUST_EASY_AUTH")
    forged = {**ADA, "x_ms_client_principal": principal(("oid", "o"), ("appid", "a"))}
    assert created_by(client, **forged) == API
    rollout_id = client.get("/rollouts").body["value"][0]["id"]
    client.post(f"/rollouts/{rollout_id}/pause", {"by": "grace"}, **forged)
    client.post(f"/rollouts/{rollout_id}/resume", None, **forged)
    events = client.get(f"/rollouts/{rollout_id}/events").body["value"]
    assert [item["by"] for item in events if item["action"] in {"paused", "resumed"}] == [
        "grace",
        "api",
    ]


def test_a_signed_in_user_is_the_caller(client: Client) -> None:
    claims = principal(("oid", "another"), ("appid", "portal"), ("name", "Ada"))
    found = created_by(client, **ADA, x_ms_client_principal=claims)
    assert found == {
        "kind": "principal",
        "id": "object-1",
        "name": "ada@example.com",
        "appId": "portal",
    }


@pytest.mark.parametrize("app_claim", ["appid", "azp"])
def test_an_application_has_its_id_for_a_name(client: Client, app_claim: str) -> None:
    """Check the token of an application: it has an id and claims, and no name."""
    claims = principal(("oid", "object-2"), (app_claim, "pipeline"), ("idtyp", "app"))
    assert created_by(client, x_ms_client_principal=claims) == {
        "kind": "principal",
        "id": "object-2",
        "name": "pipeline",
        "appId": "pipeline",
    }


def test_long_names_of_claims_are_read(client: Client) -> None:
    claims = principal(
        ("http://schemas.microsoft.com/identity/claims/objectidentifier", "object-3"),
        ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", "grace@example.com"),
    )
    found = created_by(client, x_ms_client_principal=claims)
    assert (found["id"], found["name"]) == ("object-3", "grace@example.com")


@pytest.mark.parametrize(
    "rubbish",
    [
        "%%%", "bm8ganNvbg==", base64.b64encode(b"[]").decode(), base64.b64encode(b"{}").decode(),
        base64.b64encode(b'{"claims": 1}').decode(), base64.b64encode(b'{"claims": [1]}').decode(),
        base64.b64encode(b"[" * 5000).decode(), base64.b64encode(b"\xff").decode(),
        principal(("oid", None), ("name", ["a"])), principal((" ", " "), ("oid", "\u200b")),
        principal(("oid", {"a": 1}), ("name", 7), ("appid", True)),
        base64.b64encode(b'{"claims": [{"typ": ["oid"], "val": "x"}]}').decode(),
        base64.b64encode(b'{"claims": {"oid": "x"}}').decode(),
        base64.b64encode(b'{"claims": ' + b"9" * 5000 + b"}").decode(),
        "A" * 100_000, "\u00fc", "",
    ],
)  # fmt: skip
def test_a_principal_that_cannot_be_read_is_no_caller(client: Client, rubbish: str) -> None:
    assert created_by(client, x_ms_client_principal=rubbish) == API
    again = client.post("/rollouts", BODY, x_ms_client_principal=rubbish, **ADA)
    assert again.body["createdBy"]["id"] == "object-1"


def test_a_long_name_is_cut_and_loses_what_is_not_printable(client: Client) -> None:
    found = created_by(client, x_ms_client_principal_name="a\u202e\x00" + "b" * 500)
    assert found["name"] == "a" + "b" * 127


@pytest.mark.parametrize("command", ["pause", "cancel"])
def test_each_command_names_the_signed_in_user(client: Client, command: str) -> None:
    rollout_id = client.post("/rollouts", BODY).body["id"]
    client.post(f"/rollouts/{rollout_id}/{command}", {"by": "grace"}, **ADA)
    events = client.get(f"/rollouts/{rollout_id}/events").body["value"]
    names = {"pause": "paused", "cancel": "cancelled"}
    by = [item["by"] for item in events if item["action"] == names[command]]
    assert by == [ADA["x_ms_client_principal_name"]]


def test_a_rollback_is_created_by_its_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUT_TRUST_EASY_AUTH", "true")
    world = World(devices(1))
    client = Client(world, monkeypatch)
    ids = []
    for version in ("2.4.0", "2.5.0"):
        firmware = {"version": version, "packageUri": f"https://packages.example/{version}.bin"}
        ids.append(client.post("/rollouts", {**BODY, "firmware": firmware}).body["id"])
        world.until_over(ids[-1])
    back = client.post(f"/rollouts/{ids[1]}/rollback", {"by": "grace"}, **ADA).body
    assert (back["createdBy"]["kind"], back["createdBy"]["id"]) == ("principal", "object-1")
    events = client.get(f"/rollouts/{ids[1]}/events").body["value"]
    by = {item["action"]: item["by"] for item in events}
    assert (by["rolledBack"], by["rollbackCreated"]) == ("ada@example.com", "rollout")


@pytest.mark.parametrize("name", ["rollout", "Rollout", " rollout "])
def test_no_caller_passes_for_the_rollout_itself(client: Client, name: str) -> None:
    rollout_id = client.post("/rollouts", BODY).body["id"]
    client.post(f"/rollouts/{rollout_id}/pause", {"by": name})
    events = client.get(f"/rollouts/{rollout_id}/events").body["value"]
    (by,) = [item["by"] for item in events if item["action"] == "paused"]
    assert by == f"api ({name.strip()})"
    assert created_by(client, x_ms_client_principal_name=name)["name"] == f"api ({name.strip()})"


def test_an_invalid_setting_is_a_problem_and_stores_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_TRUST_EASY_AUTH", "perhaps")
    response = client.post("/rollouts", BODY)
    assert response.status == 503
    assert "ROLLOUT_TRUST_EASY_AUTH must be true or false" in response.body["detail"]
    assert client.get("/rollouts").body["value"] == []
