"""The service API over HTTP: paths, headers, permissions and both error forms."""

import json
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
import requests

from simulator.connection_strings import DEVELOPMENT_KEY
from simulator.hub import HubOptions, LocalHub
from simulator.hub.model.access import policy_key
from simulator.hub.model.registry import Registry
from tests.simulator.hub.builders import token
from tests.simulator.hub.local_api import LocalApi

type Send = Callable[..., requests.Response]


@pytest.fixture
def options(options: HubOptions) -> HubOptions:
    return HubOptions(
        certificates=options.certificates, address=options.address, https_port=0, mqtt_port=0
    )


@pytest.fixture
def send(hub: LocalHub, options: HubOptions) -> Iterator[Send]:
    """Send a request with a token of `policy`; the path is sent as it is given."""
    host = f"{options.address}:{hub.https_port}"
    with requests.Session() as session:
        session.trust_env = False

        def request(
            method: str,
            path: str,
            body: object = None,
            *,
            policy: str = "iothubowner",
            data: bytes | None = None,
            headers: dict[str, str] | None = None,
        ) -> requests.Response:
            key = policy_key(DEVELOPMENT_KEY, policy)
            authorization = token(host, key, policy=policy, expiry=time.time() + 60)
            return session.request(
                method,
                f"https://{host}{path}",
                data=json.dumps(body) if data is None and body is not None else data,
                headers={"Authorization": authorization} | (headers or {}),
                verify=str(hub.ca_file),
                timeout=10,
            )

        yield request


def code(response: requests.Response) -> str:
    """Return the name in a form-A body, which must agree with the header."""
    name = str(response.json()["Message"]).removeprefix("ErrorCode:").partition(";")[0]
    assert response.headers["iothub-errorcode"] == name
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.json().keys() == {"Message", "ExceptionMessage"}
    return name


def test_device_ids_are_decoded_exactly_once(send: Send) -> None:
    for device_id in ("a%2Fb", "a?b", "a#b", "a+b", "devices", "query"):
        path = "/devices/" + quote(device_id, safe="")
        created = send("PUT", path, {"deviceId": device_id})
        assert created.status_code == 200, device_id
        assert send("GET", "/twins/" + quote(device_id, safe="")).json()["deviceId"] == device_id
    assert send("PUT", "/devices/a%2Fb", {"deviceId": "a/b"}).status_code == 400
    assert send("PUT", "/devices/one", {"deviceId": "two"}).status_code == 400


def test_etags_are_in_the_body_and_quoted_in_the_header(hub: LocalHub, send: Send) -> None:
    hub.create_device("one")
    for path in ("/devices/one", "/twins/one"):
        response = send("GET", path)
        assert response.headers["ETag"] == f'"{response.json()["etag"]}"'
    etag = send("GET", "/twins/one").json()["etag"]
    for number, match in enumerate((etag, '"*"', "*")):
        headers = {"If-Match": match}
        response = send("PATCH", "/twins/one", {"tags": {"n": number}}, headers=headers)
        assert response.status_code == 200
    stale = send("PATCH", "/twins/one", {"tags": {}}, headers={"If-Match": f'"{etag}"'})
    assert (stale.status_code, code(stale)) == (412, "PreconditionFailed")


def test_deleting_needs_no_etag_and_has_no_body(hub: LocalHub, send: Send) -> None:
    hub.create_device("one")
    response = send("DELETE", "/devices/one")
    assert (response.status_code, response.content) == (204, b"")


def test_lists_may_end_in_a_slash(hub: LocalHub, send: Send) -> None:
    hub.create_device("one")
    hub.create_device("two")
    assert [device["deviceId"] for device in send("GET", "/devices/").json()] == ["one", "two"]
    assert len(send("GET", "/devices?top=1&api-version=2021-04-12").json()) == 1
    assert code(send("GET", "/devices?top=x")) == "ArgumentInvalid"


def test_bulk_errors_come_as_a_400_with_the_result(send: Send) -> None:
    items = [{"id": "one", "importMode": "create"}, {"id": "none", "importMode": "delete"}]
    response = send("POST", "/devices", items)
    assert response.status_code == 400
    assert response.json()["isSuccessful"] is False
    assert [error["deviceId"] for error in response.json()["errors"]] == ["none"]
    assert send("POST", "/devices", []).json()["errors"] == []


@pytest.mark.parametrize(
    ("policy", "operation", "status"),
    [
        ("service", "GET /twins/one", 200),
        ("service", "GET /devices/one", 401),
        ("service", "DELETE /devices/one", 401),
        ("registryRead", "GET /devices/one", 200),
        ("registryRead", "DELETE /devices/one", 401),
        ("registryRead", "GET /twins/one", 401),
        ("registryReadWrite", "DELETE /devices/one", 204),
        ("device", "GET /devices/one", 401),
    ],
)
def test_a_policy_allows_only_its_own_routes(
    hub: LocalHub, send: Send, policy: str, operation: str, status: int
) -> None:
    hub.create_device("one")
    response = send(*operation.split(), policy=policy)
    assert response.status_code == status
    if status == 401:
        assert code(response) == "IotHubUnauthorizedAccess"


@pytest.mark.parametrize(
    "authorization", ["", "Bearer x", "SharedAccessSignature sr=a&sig=b&se=c&skn=iothubowner"]
)
def test_anything_but_a_token_of_this_hub_is_refused(send: Send, authorization: str) -> None:
    response = send("GET", "/devices", headers={"Authorization": authorization})
    assert (response.status_code, code(response)) == (401, "IotHubUnauthorizedAccess")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/jobs/v2/one", 404),
        ("GET", "/jobs", 501),
        ("POST", "/jobs/create", 501),
        ("GET", "/configurations/one", 404),
        ("GET", "/devices/one/modules", 404),
        ("GET", "/twins/one%2Fm", 404),
        ("DELETE", "/devices/one%2Fm", 404),
        ("GET", "/", 404),
        ("GET", "/nowhere", 404),
        ("POST", "/twins/one", 404),
        ("GET", "/devices/jobs", 404),
    ],
)
def test_missing_routes_are_named(send: Send, method: str, path: str, status: int) -> None:
    response = send(method, path)
    assert response.status_code == status
    assert code(response).endswith(("NotEmulated", "NoSuchRoute", "NotFound"))


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'"x"', b"[" * 100_000, b'{"tags": 1}', b'{"tags":{"a":NaN}}', b"\xff"],
)
def test_invalid_bodies_are_refused_and_change_nothing(
    hub: LocalHub, send: Send, data: bytes
) -> None:
    hub.create_device("one")
    before = send("GET", "/twins/one").json()
    response = send("PATCH", "/twins/one", data=data)
    assert response.status_code == 400
    assert code(response) in ("ArgumentInvalid", "DeserializationError")
    assert send("GET", "/twins/one").json() == before


def test_a_body_beyond_all_limits_is_refused(hub: LocalHub, send: Send) -> None:
    hub.create_device("one")
    response = send("PATCH", "/twins/one", data=b" " * 2_000_000)
    assert (response.status_code, code(response)) == (413, "MessageTooLarge")


def test_errors_of_methods_are_json_inside_json(hub: LocalHub, send: Send) -> None:
    hub.create_device("one")
    response = send("POST", "/twins/one/methods", {"methodName": "x", "connectTimeoutInSeconds": 0})
    assert response.status_code == 404
    body = response.json()
    assert body["ExceptionMessage"] == ""
    message = json.loads(body["Message"])
    assert message.keys() == {"errorCode", "trackingId", "message", "info", "timestampUtc"}
    assert (message["errorCode"], message["info"]) == (404103, {"timeout": "00:00:00"})


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"methodName": 1},
        {"methodName": "x", "responseTimeoutInSeconds": "10"},
        {"methodName": "x", "responseTimeoutInSeconds": True},
    ],
)
def test_methods_refuse_an_invalid_body(hub: LocalHub, send: Send, body: object) -> None:
    hub.create_device("one")
    response = send("POST", "/twins/one/methods", body)
    assert response.status_code == 400
    assert json.loads(response.json()["Message"])["errorCode"] == 400004


def test_queries_page_by_headers(hub: LocalHub, send: Send) -> None:
    for number in range(3):
        hub.create_device(f"d{number}")
    body = {"query": "SELECT * FROM devices"}
    first = send("POST", "/devices/query", body, headers={"x-ms-max-item-count": "2"})
    assert first.headers["x-ms-item-type"] == "twin"
    following = {
        "x-ms-max-item-count": "2",
        "x-ms-continuation": first.headers["x-ms-continuation"],
    }
    last = send("POST", "/devices/query", body, headers=following)
    assert [row["deviceId"] for row in first.json() + last.json()] == ["d0", "d1", "d2"]
    assert "x-ms-continuation" not in last.headers
    wrong = send("POST", "/devices/query", body, headers={"x-ms-max-item-count": "0"})
    assert code(wrong) == "ArgumentInvalid"


def test_a_defect_of_the_hub_is_a_500_that_clients_can_read(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Registry, "first", lambda *_: 1 / 0)
    response = send("GET", "/devices")
    assert (response.status_code, code(response)) == (500, "ServerError")


def test_json_that_is_nested_too_deeply_is_refused(send: Send) -> None:
    labels = b'{"labels": ' + b"[" * 9990 + b"]" * 9990 + b"}"
    assert send("PUT", "/configurations/one", data=labels).status_code == 400
    path = "properties.desired" + ".a" * 3000
    content = {"content": {"deviceContent": {path: 1, path + ".b": 2}}}
    assert send("PUT", "/configurations/one", content).status_code == 400
    assert send("GET", "/configurations").json() == []


def test_faults_of_devices_spare_jobs_and_configurations_of_that_name(
    hub: LocalHub, options: HubOptions, send: Send
) -> None:
    local = LocalApi(hub, options.address)
    local.break_with({"action": "error", "devices": ["one"]})
    local.close()
    assert send("GET", "/jobs/v2/one").status_code == 404
    assert send("GET", "/configurations/one").status_code == 404
    assert send("GET", "/twins/one").status_code == 503


@pytest.mark.parametrize(("count", "length"), [(200, 1), (1, 9000)])
def test_headers_are_limited_in_number_and_length(send: Send, count: int, length: int) -> None:
    headers = {f"x-{number}": "x" * length for number in range(count)}
    assert send("GET", "/devices", headers=headers).status_code in (400, 431)
