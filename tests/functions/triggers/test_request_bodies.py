"""Check what the API says to bodies that do not arrive, or are not what they should be."""

import json
from typing import Any

import pytest

from tests.functions.triggers.client import Client
from tests.functions.triggers.routing import send
from tests.functions.use_cases.world import World, devices

BODY: dict[str, Any] = {
    "firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"},
    "target": {"deviceIds": ["d-000"]},
}
COMMANDS = ("pause", "resume", "cancel", "approve", "retry", "rollback")
ZERO_WIDTH, TO_LEFT, NUL = "\u200b", "\u202e", "\x00"


@pytest.fixture
def world() -> World:
    return World(devices(2, stage=600))


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def post(path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    """Send a body as it is; an underscore in the name of a header stands for a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = send("POST", path, body, named)
    assert response is not None
    return response.status_code, json.loads(response.get_body())


def paths(client: Client) -> list[str]:
    rollout_id = client.post("/rollouts", BODY).body["id"]
    return ["/rollouts", "/rollouts/plan", *(f"/rollouts/{rollout_id}/{name}" for name in COMMANDS)]


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "gzip, chunked"])
def test_a_chunked_body_that_did_not_arrive_is_never_taken_for_an_empty_one(
    client: Client, world: World, coding: str
) -> None:
    """The host drops the body of a request without Content-Length; the header arrives."""
    for path in paths(client):
        before = world.stores.rollouts.list_open_ids()
        status, problem = post(path, b"", transfer_encoding=coding)
        assert (status, problem["type"]) == (411, "urn:fleet-rollout:problem:length-required")
        assert "Content-Length" in problem["detail"]
        assert world.stores.rollouts.list_open_ids() == before


def test_a_chunked_body_that_a_host_delivers_is_read(client: Client) -> None:
    assert client
    status, found = post("/rollouts", json.dumps(BODY).encode(), transfer_encoding="chunked")
    assert (status, found["status"]) == (201, "running")
    pause = f"/rollouts/{found['id']}/pause"
    status, found = post(pause, b'{"by": "ada"}', transfer_encoding="chunked")
    assert (status, found["statusReason"]["code"]) == (200, "paused")
    assert found["statusReason"]["message"].startswith("Paused by ada. Next: fleet resume ")


def test_a_compressed_body_is_refused(client: Client) -> None:
    for path in paths(client):
        status, problem = post(path, b"\x1f\x8b\x08", content_encoding="gzip")
        assert (status, problem["type"]) == (415, "urn:fleet-rollout:problem:encoding")
        assert "'gzip'" in problem["detail"]
    response = send("POST", "/rollouts", b"x", {"content-encoding": "br"})
    assert response is not None
    assert response.headers["Accept-Encoding"] == "identity"


def test_the_content_encoding_identity_is_accepted(client: Client) -> None:
    assert client
    body = json.dumps(BODY).encode()
    assert post("/rollouts", body, content_encoding="identity")[0] == 201


def test_a_body_that_is_shorter_than_its_length_is_malformed(client: Client) -> None:
    for path in paths(client):
        status, problem = post(path, b"", content_length="12")
        assert (status, problem["type"]) == (400, "urn:fleet-rollout:problem:malformed")


@pytest.mark.parametrize("length", ["0", "00", ""])
def test_a_command_with_an_empty_body_is_accepted(client: Client, length: str) -> None:
    rollout_id = client.post("/rollouts", BODY).body["id"]
    assert post(f"/rollouts/{rollout_id}/pause", b"", content_length=length)[0] == 200


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_json_is_read_whatever_its_content_type(client: Client, content_type: str) -> None:
    """curl and others send JSON with the type of a form, if none is given."""
    assert client
    body = json.dumps(BODY).encode()
    assert post("/rollouts", body, content_type=content_type)[0] == 201
    assert post("/rollouts", b"by=ada&reason=hot", content_type=content_type)[0] == 400


NOT_JSON = {
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"by": "ada"}'.encode("utf-16"),
    "Latin-1": '{"by": "\xe4da"}'.encode("latin-1"),
    "NaN": b'{"by": NaN}',
    "Infinity": b'{"reason": Infinity}',
    "minus Infinity": b'{"unknown": -Infinity}',
    "a NUL": b'{"by": "a\x00b"}',
    "two values": b"{} {}",
    "a comment": b'{} // "by"',
    "a single quote": b"{'by': 'ada'}",
    "a form": b"by=ada",
}


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_not_json_is_malformed_everywhere(client: Client, name: str) -> None:
    for path in paths(client):
        status, problem = post(path, NOT_JSON[name])
        assert (status, problem["type"]) == (400, "urn:fleet-rollout:problem:malformed")
        assert problem["detail"].startswith("The body is not JSON")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"ada"', b"1", b"true"])
def test_json_that_is_no_object_is_invalid_everywhere(client: Client, body: bytes) -> None:
    for path in paths(client):
        assert post(path, body)[0] == 422


def changed(pointer: str, value: Any) -> Any:
    """Return the body with another value at a pointer."""
    body = json.loads(json.dumps(BODY | {"strategy": {"waves": [{"size": 1}]}, "labels": {}}))
    *way, last = pointer.strip("/").split("/")
    part_of_body = body
    for name in way:
        part_of_body = (
            part_of_body[int(name)] if isinstance(part_of_body, list) else part_of_body[name]
        )
    part_of_body[int(last) if isinstance(part_of_body, list) else last] = value
    return body


@pytest.mark.parametrize("character", [ZERO_WIDTH, TO_LEFT, NUL, "\ufeff", "\x85", "\u2060", "\n"])
@pytest.mark.parametrize(
    "pointer",
    [
        "/firmware/version",
        "/firmware/packageUri",
        "/target/deviceIds/0",
        "/labels/build",
        "/strategy/waves/0/name",
    ],
)
def test_an_invisible_character_is_refused_with_its_pointer(
    client: Client, pointer: str, character: str
) -> None:
    value = f"https://x.example/a{character}b" if "Uri" in pointer else f"1.0{character}1"
    for path in ("/rollouts", "/rollouts/plan"):
        response = client.post(path, changed(pointer, value))
        assert response.status == 422
        assert [item["pointer"] for item in response.body["errors"]] == [pointer]


def test_the_name_of_a_label_has_no_invisible_character(client: Client) -> None:
    response = client.post("/rollouts", BODY | {"labels": {f"a{ZERO_WIDTH}": "b"}})
    assert response.status == 422
    assert response.body["errors"][0]["pointer"] == f"/labels/a{ZERO_WIDTH}"


@pytest.mark.parametrize("name", ["by", "reason"])
def test_a_caller_and_a_reason_have_no_invisible_character(client: Client, name: str) -> None:
    rollout_id = client.post("/rollouts", BODY).body["id"]
    response = client.post(f"/rollouts/{rollout_id}/pause", {name: f"a{TO_LEFT}b"})
    assert (response.status, response.body["errors"][0]["pointer"]) == (422, f"/{name}")


@pytest.mark.parametrize("blank", [" ", "\u00a0  "])
def test_a_reason_does_not_consist_of_spaces(client: Client, blank: str) -> None:
    """A reason that is required says something."""
    rollout_id = client.post("/rollouts", BODY).body["id"]
    responses = (
        client.patch(f"/rollouts/{rollout_id}", {"strategy": {"maxInFlight": 1}, "reason": blank}),
        client.put("/freeze", {"reason": blank}),
        client.post(f"/rollouts/{rollout_id}/pause", {"reason": blank}),
    )
    for response in responses:
        assert (response.status, response.body["errors"][0]["pointer"]) == (422, "/reason")


@pytest.mark.parametrize("version", [" 2.4.0", "2.4.0 ", "\u00a02.4.0", " "])
def test_a_version_has_no_space_at_an_end(client: Client, version: str) -> None:
    """No device would ever report it."""
    response = client.post("/rollouts", changed("/firmware/version", version))
    assert (response.status, response.body["errors"][0]["pointer"]) == (422, "/firmware/version")


@pytest.mark.parametrize(
    "uri",
    [
        "http://[::1]h/fw.bin",
        "http://[::1]h:80/fw.bin",
        "http://[::1/fw.bin",
        "http://::1]/fw.bin",
        "http://a[::1]/fw.bin",
        "http://[]/fw.bin",
        "https://a b.example/fw.bin",
        "https://x.example/a b.bin",
        "https://x.example/a\tb.bin",
        "https://x.example:port/",
        " https://x.example/fw.bin",
    ],
)
def test_a_malformed_uri_is_refused(client: Client, uri: str) -> None:
    response = client.post("/rollouts", changed("/firmware/packageUri", uri))
    assert (response.status, response.body["errors"][0]["pointer"]) == (422, "/firmware/packageUri")


@pytest.mark.parametrize(
    "uri",
    [
        "http://[::1]/fw.bin",
        "http://[2001:db8::1]:8080/fw.bin?sig=x",
        "https://user:pass@x.example:8443/fw.bin",
        "https://x.example?token=abc",
        "https://x.example/a@b:c/[1]",
    ],
)
def test_an_unusual_uri_is_accepted(client: Client, uri: str) -> None:
    body = changed("/firmware/packageUri", uri)
    del body["strategy"]
    assert client.post("/rollouts", body).status == 201


@pytest.mark.parametrize(
    "condition",
    [
        "SELECT * FROM devices WHERE tags.site = 'x'",
        "select deviceId from devices",
        "  WHERE tags.site = 'x'",
        "FROM devices",
    ],
)
def test_a_whole_query_is_no_condition(client: Client, condition: str) -> None:
    for path in ("/rollouts", "/rollouts/plan"):
        response = client.post(path, BODY | {"target": {"condition": condition}})
        assert (response.status, response.body["errors"]) == (
            422,
            [
                {
                    "pointer": "/target/condition",
                    "detail": "must be only the part after WHERE, such as"
                    " tags.site = 'berlin', not a whole query",
                }
            ],
        )


@pytest.mark.parametrize("digits", [1, 3, 6, 7, 9])
def test_a_start_time_may_have_a_fraction_of_any_usual_precision(
    client: Client, digits: int
) -> None:
    """.NET writes seven digits (format "o")."""
    fraction = "123456789"[:digits]
    response = client.post("/rollouts", BODY | {"startAt": f"2026-11-24T02:00:00.{fraction}Z"})
    assert response.status == 201
    assert response.body["startAt"].startswith("2026-11-24T02:00:00.1")
