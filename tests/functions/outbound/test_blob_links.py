"""Test links to packages in private storage: on Azurite, and with an identity's key."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import HttpTransport, RequestsTransportResponse
from azure.storage.blob import BlobServiceClient

from functions.errors import SettingsError
from functions.outbound.blob_links import BlobLinks, open_blob_links
from functions.outbound.port import PackageLinkError

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
ACCOUNT = "https://packages.blob.core.windows.net"
BLOB = f"{ACCOUNT}/firmware/fw-2.4.0.bin"
HOUR = timedelta(hours=1)
_KEY = """<?xml version="1.0" encoding="utf-8"?><UserDelegationKey>
<SignedOid>oid</SignedOid><SignedTid>tid</SignedTid><SignedStart>2026-11-27T11:55:00Z</SignedStart>
<SignedExpiry>{expiry}</SignedExpiry><SignedService>b</SignedService>
<SignedVersion>2026-02-06</SignedVersion><Value>a2V5</Value></UserDelegationKey>"""

_PROBLEM = """<?xml version="1.0" encoding="utf-8"?><Error>
<Code>AuthorizationPermissionMismatch</Code><Message>This request is not authorized.</Message>
</Error>"""


class _Token:
    """Stand in for a managed identity."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken("token", 4_000_000_000)


class _Transport(HttpTransport[Any, Any]):
    """Stand in for the blob service; return keys, or fail."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.status = 200
        self.problem = ""
        self.error: Exception | None = None

    def send(self, request: Any, **_: Any) -> Any:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        response = requests.Response()
        response.status_code, response.reason = self.status, "as told"
        response.headers["Content-Type"] = "application/xml"
        expiry = (NOW + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
        content = _KEY.format(expiry=expiry) if self.status == 200 else self.problem
        response._content = content.encode()  # noqa: SLF001 - as requests sets it
        response.raw = None
        return RequestsTransportResponse(request, response)

    def open(self) -> None:
        return

    def close(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return


class _Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def transport() -> _Transport:
    return _Transport()


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def links(transport: _Transport, clock: _Clock) -> BlobLinks:
    return open_blob_links(ACCOUNT, _Token(), clock, transport=transport, retry_total=0)


def query(link: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


def test_the_identity_signs_a_link_that_reads_one_blob_for_the_time(links: BlobLinks) -> None:
    link = links.make(BLOB, HOUR)
    assert link.startswith(f"{BLOB}?")
    found = query(link)
    assert (found["sr"], found["sp"], found["spr"]) == ("b", "r", "https")
    assert found["se"] == "2026-11-27T13:00:00Z"
    assert (found["skoid"], found["sktid"]) == ("oid", "tid")
    assert found["sig"]
    assert "st" not in found  # a device's clock may be behind


def test_a_key_serves_many_links_and_is_renewed_each_hour(
    links: BlobLinks, transport: _Transport, clock: _Clock
) -> None:
    made = {links.make(f"{BLOB}.{number}", HOUR) for number in range(20)}
    assert (len(made), len(transport.requests)) == (20, 1)
    clock.now += timedelta(minutes=59)
    links.make(BLOB, HOUR)
    assert len(transport.requests) == 1
    clock.now += timedelta(minutes=2)
    links.make(BLOB, HOUR)
    assert len(transport.requests) == 2


def test_a_later_attempt_gets_another_link(links: BlobLinks, clock: _Clock) -> None:
    first = links.make(BLOB, HOUR)
    clock.now += timedelta(minutes=5)
    second = links.make(BLOB, HOUR)
    assert query(first)["sig"] != query(second)["sig"]
    assert query(second)["se"] == "2026-11-27T13:05:00Z"


def test_a_long_timeout_is_cut_to_what_a_key_allows(links: BlobLinks) -> None:
    assert query(links.make(BLOB, timedelta(days=365)))["se"] == "2026-12-03T12:00:00Z"


@pytest.mark.parametrize(
    "uri",
    [
        f"{BLOB}?sig=own",
        f"{BLOB}#part",
        BLOB.replace("https", "http"),
        BLOB.replace(".net", ".net:8443"),
        BLOB.replace("packages.", "packages.evil."),
        BLOB.replace(".net/", ".net.evil.example/"),
        BLOB.replace("//", "//ada@"),
        f"{ACCOUNT}/firmware",
        f"{ACCOUNT}/firmware/",
        f"{ACCOUNT}/azure-webjobs-secrets/host.json",
        f"{ACCOUNT}/$logs/a",
        f"{ACCOUNT}//firmware/a",
        f"{ACCOUNT}/%66irmware/a",
        "https://packages.example/fw.bin",
    ],
)
def test_no_other_uri_gets_a_signature(links: BlobLinks, transport: _Transport, uri: str) -> None:
    assert links.make(uri, HOUR) == uri
    assert transport.requests == []


@pytest.mark.parametrize(
    "uri", [BLOB.replace("packages", "PACKAGES"), BLOB.replace(".net", ".net:443")]
)
def test_the_same_address_may_be_written_in_another_way(links: BlobLinks, uri: str) -> None:
    assert links.make(uri, HOUR).startswith(f"{uri}?")


@pytest.mark.parametrize("problem", ["", _PROBLEM])
@pytest.mark.parametrize(("status", "is_refusal"), [(403, True), (401, True), (500, False)])
def test_a_refusal_says_which_roles_are_missing(
    links: BlobLinks, transport: _Transport, status: int, is_refusal: bool, problem: str
) -> None:
    transport.status, transport.problem = status, problem
    with pytest.raises(PackageLinkError) as caught:
        links.make(BLOB, HOUR)
    assert caught.value.is_refusal is is_refusal
    assert ("Storage Blob Delegator" in str(caught.value)) is is_refusal
    transport.status = 200
    assert links.make(BLOB, HOUR) != BLOB


def test_an_account_that_cannot_be_reached_refuses_nothing(
    links: BlobLinks, transport: _Transport
) -> None:
    transport.error = ServiceRequestError("no route")
    with pytest.raises(PackageLinkError) as caught:
        links.make(BLOB, HOUR)
    assert not caught.value.is_refusal


def test_a_setting_that_is_no_connection_string_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        open_blob_links("AccountKey=c2VjcmV0", None)
    assert "c2VjcmV0" not in str(caught.value)


@pytest.fixture
def blob(storage: str) -> Iterator[str]:
    container = BlobServiceClient.from_connection_string(storage).get_container_client("firmware-x")
    if not container.exists():
        container.create_container()
    name = "folder/fw 2.4.0+β.bin"
    yield container.upload_blob(name, b"firmware", overwrite=True).url
    container.delete_container()


def test_a_link_downloads_from_azurite_until_it_expires(storage: str, blob: str) -> None:
    assert requests.get(blob, timeout=10).status_code in {403, 404}
    found = requests.get(open_blob_links(storage, None).make(blob, HOUR), timeout=10)
    assert (found.status_code, found.content) == (200, b"firmware")
    late = open_blob_links(storage, None, lambda: datetime.now(UTC) - timedelta(hours=2))
    assert requests.get(late.make(blob, HOUR), timeout=10).status_code == 403
    other = open_blob_links(storage, None).make(blob, HOUR).replace("fw%20", "fx%20")
    assert requests.get(other, timeout=10).status_code == 403
