"""What a body must look like, and what its sender is told when it does not."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import InvalidError, MalformedError, RequestError, TooLargeError
from functions.rollouts.model import OfflinePolicy, RetryOn, Strategy
from functions.triggers.create_request import BODY_BYTES_AT_MOST, DEVICES_AT_MOST, parse

FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}
BODY: dict[str, Any] = {"firmware": FIRMWARE, "target": {"deviceIds": ["thermostat-1"]}}


def body(**changes: Any) -> bytes:
    return json.dumps(BODY | changes).encode()


def pointers(raw: bytes) -> list[str]:
    with pytest.raises(InvalidError) as caught:
        parse(raw)
    return [field.pointer for field in caught.value.fields]


def test_the_least_a_caller_must_say() -> None:
    request = parse(body())
    assert request.device_ids == ("thermostat-1",)
    assert request.strategy == Strategy()
    assert request.firmware.sha256 is None


def test_everything_a_caller_may_say() -> None:
    request = parse(
        body(
            firmware=FIRMWARE | {"sha256": "AB" * 32, "sizeBytes": 2**40},
            labels={"build": "1234"},
            strategy={
                "timeout": "PT30M",
                "retry": {"attempts": 5, "on": ["reported"], "initialDelay": "PT1.5S"},
                "offline": {"policy": "skip", "deadline": "P1DT12H"},
            },
        )
    )
    assert request.firmware.sha256 == "ab" * 32
    assert request.labels == {"build": "1234"}
    assert request.strategy.timeout == timedelta(minutes=30)
    assert request.strategy.retry.on == {RetryOn.REPORTED}
    assert request.strategy.retry.initial_delay == timedelta(seconds=1.5)
    assert request.strategy.offline.policy is OfflinePolicy.SKIP
    assert request.strategy.offline.deadline == timedelta(hours=36)


def test_the_hash_of_a_body_is_the_same_however_it_is_written_and_in_every_version() -> None:
    """Keys that callers use today must still be recognised after the next deployment."""
    compact = json.dumps(BODY, separators=(",", ":")).encode()
    assert parse(compact).body_hash == parse(body()).body_hash
    assert parse(body()).body_hash == (
        "f634960c279ba4be4f493ee1b4faf77549e0730843dd1aa355f64d0104eb7a2e"
    )
    assert parse(body(labels={"a": "b"})).body_hash != parse(body()).body_hash


@pytest.mark.parametrize("raw", [b"", b"{", b"nonsense", b"\xff\xfe", b'{"a":}', b"[" * 100_000])
def test_what_is_not_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(raw)


@pytest.mark.parametrize("raw", [b"[]", b"null", b"7", b'"text"', b"{}"])
def test_json_that_is_no_request_is_invalid(raw: bytes) -> None:
    with pytest.raises(InvalidError):
        parse(raw)


def test_a_body_over_the_limit_is_too_large_and_one_at_the_limit_is_not() -> None:
    padding = BODY_BYTES_AT_MOST - len(body())
    parse(body() + b" " * padding)
    with pytest.raises(TooLargeError):
        parse(body() + b" " * (padding + 1))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"extra": 1}, "/extra"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({"firmware": FIRMWARE | {"version": 2}}, "/firmware/version"),
        ({"firmware": FIRMWARE | {"version": ""}}, "/firmware/version"),
        ({"firmware": FIRMWARE | {"version": "1\n2"}}, "/firmware/version"),
        ({"firmware": FIRMWARE | {"sha256": "ab" * 31}}, "/firmware/sha256"),
        ({"firmware": FIRMWARE | {"sha256": "ab" * 32 + "\n"}}, "/firmware/sha256"),
        ({"firmware": FIRMWARE | {"sizeBytes": 0}}, "/firmware/sizeBytes"),
        ({"firmware": FIRMWARE | {"sizeBytes": True}}, "/firmware/sizeBytes"),
        ({"firmware": FIRMWARE | {"sizeBytes": 1.5}}, "/firmware/sizeBytes"),
        ({"target": {"deviceIds": []}}, "/target/deviceIds"),
        ({"target": {"deviceIds": "a"}}, "/target/deviceIds"),
        ({"target": {"deviceIds": ["a"] * (DEVICES_AT_MOST + 1)}}, "/target/deviceIds"),
        ({"target": {"deviceIds": ["a", 7]}}, "/target/deviceIds/1"),
        ({"target": {"deviceIds": ["a", "b", "a"]}}, "/target/deviceIds/2"),
        ({"labels": {str(n): "x" for n in range(21)}}, "/labels"),
        ({"labels": {"a": 1}}, "/labels/a"),
        ({"strategy": {"timeout": 30}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "30"}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "P1M"}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "PT0S"}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "-PT5S"}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "P366D"}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "PT" + "9" * 400 + "S"}}, "/strategy/timeout"),
        ({"strategy": {"retry": {"attempts": 0}}}, "/strategy/retry/attempts"),
        ({"strategy": {"retry": {"attempts": "3"}}}, "/strategy/retry/attempts"),
        ({"strategy": {"retry": {"on": ["never"]}}}, "/strategy/retry/on/0"),
        ({"strategy": {"offline": {"policy": "hope"}}}, "/strategy/offline/policy"),
    ],
)
def test_the_field_that_is_wrong_is_pointed_at(changes: dict[str, Any], pointer: str) -> None:
    assert pointers(body(**changes)) == [pointer]


@pytest.mark.parametrize(
    "device_id",
    ["", "a b", "a/b", "ä", "x" * 129, "a\n", "a\x00", ".", "..", "a&b", 'a"b', "a\\b", "a|b"],
)
def test_a_malformed_device_id_is_pointed_at(device_id: str) -> None:
    assert pointers(body(target={"deviceIds": ["ok", device_id]})) == ["/target/deviceIds/1"]


@pytest.mark.parametrize("device_id", ["a#b", "a?b", "a%2Fb", "x" * 128, "it's", "a:b", "...", "="])
def test_an_odd_device_id_is_still_a_device_id(device_id: str) -> None:
    assert parse(body(target={"deviceIds": [device_id]})).device_ids == (device_id,)


@pytest.mark.parametrize(
    "uri",
    [
        "test.com", "/fw.bin", "ftp://host/fw.bin", "file:///etc/passwd", "http://", "https:///x",
        "http://:80/", "http://host:99999/", "http://[::1/", "http://ho st/", "http://host/\n",
        "javascript:alert(1)", "//host/x", "http://a\\b/",
    ],
)  # fmt: skip
def test_a_package_uri_must_be_absolute_http_with_a_host(uri: str) -> None:
    assert pointers(body(firmware=FIRMWARE | {"packageUri": uri})) == ["/firmware/packageUri"]


def test_what_a_later_version_brings_is_refused_rather_than_ignored() -> None:
    with pytest.raises(InvalidError) as caught:
        parse(body(strategy={"waves": []}, startAt="2026-12-01T02:00:00Z"))
    assert [(field.pointer, field.detail) for field in caught.value.fields] == [
        ("/strategy/waves", "this version does not support it"),
        ("/startAt", "this version does not support it"),
    ]


def test_a_thousand_wrong_fields_are_not_all_listed() -> None:
    assert len(pointers(body(target={"deviceIds": ["a b"] * 1000}))) == 100


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["firmware", "target", "deviceIds", "strategy", "retry", "on", "é"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_other_json_is_refused(value: Any) -> None:
    with pytest.raises(RequestError, match=r"."):
        parse(json.dumps(value).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(RequestError):
        parse(raw)
