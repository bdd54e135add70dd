"""Which bodies of creates are accepted, and which fields of the others are named."""

import json
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.errors import InvalidError, MalformedError, RequestError, TooLargeError
from functions.rollouts.model.strategy import (
    OfflinePolicy,
    RetryOn,
    Strategy,
)
from functions.wire.create_request import MAX_DEVICES, parse
from functions.wire.parsing import MAX_BODY_BYTES
from tests.functions.wire.bodies import BODY, FIRMWARE, body, read_pointers


def test_a_body_with_the_required_fields_only_is_accepted() -> None:
    request = parse(body())
    assert request.device_ids == ("thermostat-1",)
    assert request.strategy == Strategy()
    assert request.firmware.sha256 is None


def test_a_body_with_optional_fields_is_accepted() -> None:
    request = parse(
        body(
            firmware=FIRMWARE
            | {"sha256": "AB" * 32, "sizeBytes": 2**40, "reportedAs": ["v2.4.0", "2.4"]},
            labels={"build": "1234"},
            strategy={
                "timeout": "PT30M",
                "retry": {"attempts": 5, "on": ["reported"], "initialDelay": "PT1.5S"},
                "offline": {"policy": "skip", "deadline": "P1DT12H"},
            },
        )
    )
    assert request.firmware.sha256 == "ab" * 32
    assert request.firmware.reported_as == ("v2.4.0", "2.4")
    assert request.labels == {"build": "1234"}
    assert request.strategy.timeout == timedelta(minutes=30)
    assert request.strategy.retry.on == {RetryOn.REPORTED}
    assert request.strategy.retry.initial_delay == timedelta(seconds=1.5)
    assert request.strategy.offline.policy is OfflinePolicy.SKIP
    assert request.strategy.offline.deadline == timedelta(hours=36)


def test_the_hash_of_a_body_does_not_depend_on_its_white_space_or_the_version() -> None:
    """Check that idempotency keys in use survive the next deployment."""
    compact = json.dumps(BODY, separators=(",", ":")).encode()
    assert parse(compact).body_hash == parse(body()).body_hash
    assert parse(body()).body_hash == (
        "f634960c279ba4be4f493ee1b4faf77549e0730843dd1aa355f64d0104eb7a2e"
    )
    assert parse(body(labels={"a": "b"})).body_hash != parse(body()).body_hash


@pytest.mark.parametrize("raw", [b"", b"{", b"nonsense", b"\xff\xfe", b'{"a":}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(raw)


@pytest.mark.parametrize("raw", [b"[]", b"null", b"7", b'"text"', b"{}"])
def test_json_that_is_not_a_request_is_invalid(raw: bytes) -> None:
    with pytest.raises(InvalidError):
        parse(raw)


def test_only_a_body_over_the_limit_is_too_large() -> None:
    padding = MAX_BODY_BYTES - len(body())
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
        ({"firmware": FIRMWARE | {"reportedAs": "2.4"}}, "/firmware/reportedAs"),
        ({"firmware": FIRMWARE | {"reportedAs": None}}, "/firmware/reportedAs"),
        ({"firmware": FIRMWARE | {"reportedAs": ["2.4", "2.4"]}}, "/firmware/reportedAs"),
        (
            {"firmware": FIRMWARE | {"reportedAs": [str(n) for n in range(11)]}},
            "/firmware/reportedAs",
        ),
        ({"firmware": FIRMWARE | {"reportedAs": ["2.4", ""]}}, "/firmware/reportedAs/1"),
        ({"firmware": FIRMWARE | {"reportedAs": [2.4]}}, "/firmware/reportedAs/0"),
        ({"firmware": FIRMWARE | {"reportedAs": ["2\n4"]}}, "/firmware/reportedAs/0"),
        ({"firmware": FIRMWARE | {"reportedAs": ["x" * 65]}}, "/firmware/reportedAs/0"),
        ({"target": {"deviceIds": []}}, "/target/deviceIds"),
        ({"target": {"deviceIds": "a"}}, "/target/deviceIds"),
        ({"target": {"deviceIds": ["a"] * (MAX_DEVICES + 1)}}, "/target/deviceIds"),
        ({"target": {"deviceIds": ["a", 7]}}, "/target/deviceIds/1"),
        ({"target": {"deviceIds": ["a", "b", "a"]}}, "/target/deviceIds/2"),
        ({"labels": {str(n): "x" for n in range(21)}}, "/labels"),
        ({"labels": {"a": 1}}, "/labels/a"),
        ({"labels": {"[key]": 1}}, "/labels/[key]"),
        ({"labels": {"x" * 65: "b"}}, f"/labels/{'x' * 65}"),
        ({"labels": {"a": "x" * 257}}, "/labels/a"),
        ({"planHash": "x" * 129}, "/planHash"),
        ({"firmware": FIRMWARE | {"version": "x" * 65}}, "/firmware/version"),
        ({"firmware": FIRMWARE | {"sizeBytes": 2**53 + 1}}, "/firmware/sizeBytes"),
        ({"strategy": {"timeout": 30}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "30"}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "P1M"}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "PT0S"}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "-PT5S"}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "P366D"}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "P365DT0.000001S"}}, "/strategy/timeout"),
        ({"strategy": {"timeout": "PT" + "9" * 400 + "S"}}, "/strategy/timeout"),
        ({"strategy": {"retry": {"attempts": 0}}}, "/strategy/retry/attempts"),
        ({"strategy": {"retry": {"attempts": 101}}}, "/strategy/retry/attempts"),
        ({"strategy": {"retry": {"attempts": "3"}}}, "/strategy/retry/attempts"),
        ({"strategy": {"retry": {"on": ["never"]}}}, "/strategy/retry/on/0"),
        ({"strategy": {"offline": {"policy": "hope"}}}, "/strategy/offline/policy"),
    ],
)
def test_the_error_has_a_pointer_to_the_invalid_field(
    changes: dict[str, Any], pointer: str
) -> None:
    assert read_pointers(body(**changes)) == [pointer]


@pytest.mark.parametrize(
    "device_id",
    ["", "a b", "a/b", "ä", "x" * 129, "a\n", "a\x00", ".", "..", "a&b", 'a"b', "a\\b", "a|b"],
)
def test_the_error_has_a_pointer_to_the_invalid_device_id(device_id: str) -> None:
    assert read_pointers(body(target={"deviceIds": ["ok", device_id]})) == ["/target/deviceIds/1"]


@pytest.mark.parametrize("device_id", ["a#b", "a?b", "a%2Fb", "x" * 128, "it's", "a:b", "...", "="])
def test_a_device_id_may_have_every_character_that_the_hub_allows(device_id: str) -> None:
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
    assert read_pointers(body(firmware=FIRMWARE | {"packageUri": uri})) == ["/firmware/packageUri"]


def test_a_target_may_be_a_condition() -> None:
    request = parse(body(target={"condition": "tags.site = 'berlin'"}))
    assert (request.condition, request.device_ids) == ("tags.site = 'berlin'", ())


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"deviceIds": ["a"], "condition": "x = 1"},
        {"condition": ""},
        {"condition": "x" * 4001},
        {"condition": "x = 1\n"},
    ],
)
def test_a_target_is_either_a_list_or_a_condition(target: dict[str, Any]) -> None:
    assert read_pointers(body(target=target))[0].startswith("/target")


@pytest.mark.parametrize(
    "start", ["2026-12-01T02:00:00", "tomorrow", "2026-02-30T00:00:00Z", 7, "2099-01-01T00:00:00Z"]
)
def test_a_start_needs_a_time_zone_and_is_within_a_year(start: Any) -> None:
    assert read_pointers(body(startAt=start)) == ["/startAt"]


@pytest.mark.parametrize("days", [-3650, 0, 365])
def test_a_start_may_be_in_the_past_or_almost_a_year_ahead(days: int) -> None:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    assert parse(body(startAt=start.isoformat())).start_at == start


def test_a_hundred_thousand_devices_are_parsed_quickly() -> None:
    ids = [f"{number:0128d}" for number in range(MAX_DEVICES)]
    raw = body(target={"deviceIds": ids})
    begun = process_time()
    assert len(parse(raw).device_ids) == MAX_DEVICES
    assert process_time() - begun < 1


def test_of_many_repeated_devices_the_first_hundred_are_listed() -> None:
    found = read_pointers(body(target={"deviceIds": ["a"] * 1000}))
    assert found == [f"/target/deviceIds/{number}" for number in range(1, 101)]


def test_at_most_a_hundred_invalid_fields_are_listed() -> None:
    assert len(read_pointers(body(target={"deviceIds": ["a b"] * 1000}))) == 100


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
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
