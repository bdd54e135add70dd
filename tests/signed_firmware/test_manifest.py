"""Test reading and writing the payload of a manifest."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_firmware.errors import ManifestError
from signed_firmware.manifest import Manifest
from signed_firmware.strict_json import MAX_INTEGER
from tests.signed_firmware.builders import PAYLOAD, manifest

COUNTS = st.integers(1, MAX_INTEGER)
TEXTS = st.text(min_size=1, max_size=64).filter(str.isprintable)
NUMBERS = st.integers(0, 999)
MANIFESTS = st.builds(
    Manifest,
    version=TEXTS,
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    size_bytes=COUNTS,
    models=st.lists(TEXTS, min_size=1, max_size=4).map(tuple),
    sequence=COUNTS,
    expires_at=st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0)),
    minimum_version=st.none() | st.builds("{}.{}.{}-rc.{}".format, *[NUMBERS] * 4),
    allow_downgrade=st.booleans(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(MANIFESTS)
def test_a_written_manifest_is_read_back(written: Manifest) -> None:
    assert Manifest.from_json(written.to_json()) == written


def test_fields_with_their_default_are_not_written() -> None:
    assert "minimumVersion" not in manifest().to_json()
    assert "allowDowngrade" not in manifest().to_json()


def test_unknown_fields_are_ignored() -> None:
    more = PAYLOAD | {"releaseNotes": {"en": "faster"}}
    assert Manifest.from_json(json.dumps(more)) == Manifest.from_json(json.dumps(PAYLOAD))


@pytest.mark.parametrize(
    "name", ["version", "sha256", "sizeBytes", "models", "sequence", "expiresAt"]
)
def test_a_missing_field_is_named(name: str) -> None:
    _assert_refused(json.dumps({k: v for k, v in PAYLOAD.items() if k != name}), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", ""),
        ("version", 2),
        ("version", "2.4.0\n"),
        ("version", "\ud800"),
        ("version", "x" * 65),
        ("sha256", "AB" * 32),
        ("sha256", "ab" * 31),
        ("sha256", "ab" * 32 + "\n"),
        ("sizeBytes", 0),
        ("sizeBytes", True),
        ("sizeBytes", 1.0),
        ("sizeBytes", "1"),
        ("sizeBytes", 2**53),
        ("sequence", 0),
        ("sequence", -1),
        ("sequence", False),
        ("models", []),
        ("models", "thermostat-x1"),
        ("models", ["thermostat-x1", ""]),
        ("models", [None]),
        ("expiresAt", 1_800_000_000),
        ("expiresAt", "2027-01-01"),
        ("expiresAt", "2027-01-01T00:00:00"),
        ("expiresAt", "2027-01-01T00:00:00+00:00"),
        ("expiresAt", "2027-01-01T01:00:00+01:00"),
        ("expiresAt", "2027-01-01T00:00:00.5Z"),
        ("expiresAt", "2027-01-01T00:00:00z"),
        ("expiresAt", "2027-02-30T00:00:00Z"),
        ("expiresAt", "20270101T000000Z"),
        ("expiresAt", "0001-01-01T00:00:00+23:59"),
        ("minimumVersion", None),
        ("minimumVersion", "2.0"),
        ("minimumVersion", "v2.0.0"),
        ("minimumVersion", "2.0.٣"),
        ("allowDowngrade", None),
        ("allowDowngrade", "true"),
        ("allowDowngrade", 1),
    ],
)
def test_an_invalid_field_is_named(name: str, value: Any) -> None:
    _assert_refused(json.dumps(PAYLOAD | {name: value}), name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        json.dumps(PAYLOAD)[:-1] + ', "sequence": 43}',
        json.dumps(PAYLOAD)[:-1] + ', "notes": {"a": 1, "a": 2}}',
        json.dumps(PAYLOAD)[:-1] + ', "notes": NaN}',
        json.dumps(PAYLOAD).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(PAYLOAD).encode(),
        json.dumps(PAYLOAD) + "{}",
        '{"a":' * 100_000,
        '{"sequence": ' + "9" * 5_000 + "}",
    ],
    ids=lambda text: str(text[-20:]),
)
def test_ambiguous_json_is_refused(text: str | bytes) -> None:
    _assert_refused(text, "payload")


@given(st.dictionaries(st.sampled_from([*PAYLOAD, "else"]), JSON))
def test_any_json_is_read_or_refused(changes: dict[str, Any]) -> None:
    with suppress(ManifestError):
        found = Manifest.from_json(json.dumps(PAYLOAD | changes))
        assert Manifest.from_json(found.to_json()) == found


def test_a_leap_day_and_the_last_second_are_valid() -> None:
    text = json.dumps(PAYLOAD | {"expiresAt": "2028-02-29T23:59:59Z"})
    assert Manifest.from_json(text).expires_at == datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)


def _assert_refused(text: str | bytes, named: str) -> None:
    with pytest.raises(ManifestError, match=named) as refused:
        Manifest.from_json(text)
    assert refused.value.code == "manifestInvalid"
