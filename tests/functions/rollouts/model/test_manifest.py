"""A manifest is read, compared with its firmware, and refused if it is invalid."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.rollouts.model import manifest
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.manifest import DifferingError, ManifestError
from tests.functions.builders import NOON, make_rollout
from tests.functions.manifests import HEADER, PAYLOAD, SHA256, SIGNATURE, SIZE, encoded, signed

FIRMWARE = Firmware(version="2.4.0", package_uri="https://packages.example/fw.bin")
NESTED = encoded(b'{"a":' * 2_000)


def test_a_manifest_is_read() -> None:
    found = manifest.read(signed(minimumVersion="1.0.0-rc.1+5", allowDowngrade=True, later="x"))
    assert (found.version, found.sha256, found.size_bytes) == ("2.4.0", SHA256, SIZE)
    assert (found.sequence, found.allow_downgrade) == (7, True)
    assert found.expires_at == datetime(2099, 1, 1, tzinfo=UTC)
    assert not manifest.read(signed()).allow_downgrade


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "a JWS has three parts in base64url, separated by dots"),
        ("a.b", "a JWS has three parts"),
        ("a.b.c.d", "a JWS has three parts"),
        (f"{signed()}\n", "a JWS has three parts"),
        (f"{signed()}=", "a JWS has three parts"),
        (f"{signed()[:-1]}", "a signature has 86 characters"),
        (f"a.{encoded(PAYLOAD)}.{SIGNATURE}", "its header is not JSON in base64url"),
        (f"{encoded(b'[]')}.{encoded(PAYLOAD)}.{SIGNATURE}", "its header is not a JSON object"),
        (f"{encoded(HEADER)}.{encoded(b'{')}.{SIGNATURE}", "its payload is not JSON in base64url"),
        (
            f"{encoded(HEADER)}.{encoded(b'{"a":1,"a":2}')}.{SIGNATURE}",
            "its payload is not JSON in",
        ),
        (f"{encoded(HEADER)}.{encoded(b'{"a":NaN}')}.{SIGNATURE}", "its payload is not JSON in"),
        (f"{encoded(HEADER)}.{encoded(b'\xff')}.{SIGNATURE}", "its payload is not JSON in"),
        (f"{encoded(HEADER)}.{NESTED}.{SIGNATURE}", "its payload is not JSON in"),
    ],
)
def test_an_invalid_manifest_is_refused(text: str, why: str) -> None:
    with pytest.raises(ManifestError, match=f"must be a signed firmware manifest: {why}"):
        manifest.read(text)


def test_a_manifest_that_is_too_long_is_refused() -> None:
    room = manifest.MAX_CHARACTERS - len(signed(later=""))
    manifest.read(signed(later="x" * (room * 3 // 4 - 3)))
    with pytest.raises(ManifestError, match="at most 16384 characters"):
        manifest.read(signed(later="x" * room))


def test_a_manifest_may_have_the_longest_length() -> None:
    longest = signed(HEADER | {"kid": "k"}, later="x" * 11_951)
    assert len(longest) == manifest.MAX_CHARACTERS
    assert manifest.read(longest).version == "2.4.0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", "2"),
        ("version", "2" * 64),
        ("sizeBytes", 1),
        ("sequence", 1),
        ("sequence", 2**53 - 1),
        ("models", ["a"]),
        ("minimumVersion", "0.0.0"),
        ("expiresAt", "2099-02-28T23:59:59Z"),
    ],
)
def test_a_field_may_have_the_lowest_and_the_highest_value(name: str, value: Any) -> None:
    manifest.read(signed(**{name: value}))


@pytest.mark.parametrize("name", ["version", "sha256", "sizeBytes", "models", "sequence"])
def test_a_field_that_devices_need_must_be_present(name: str) -> None:
    payload = {key: value for key, value in PAYLOAD.items() if key != name}
    with pytest.raises(ManifestError, match=f"{name} of its payload must be"):
        manifest.read(f"{encoded(HEADER)}.{encoded(payload)}.{SIGNATURE}")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"alg": "none"}, "alg of its header must be EdDSA"),
        ({"alg": ["EdDSA"]}, "alg of its header must be EdDSA"),
        ({"typ": "JWT"}, "typ of its header must be firmware-manifest"),
        ({"kid": ""}, "kid of its header must be the name of a key"),
        ({"crit": ["b64"]}, "crit of its header must be left out"),
        ({"b64": False}, "b64 of its header must be left out"),
    ],
)
def test_a_header_that_devices_refuse_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        manifest.read(signed(HEADER | changes))


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("version", None, "a text of 1 to 64"),
        ("version", 2, "a text of 1 to 64"),
        ("version", "2\n", "a text of 1 to 64"),
        ("version", "", "a text of 1 to 64"),
        ("version", "2" * 65, "a text of 1 to 64"),
        ("sha256", SHA256.upper(), "64 lower-case hex digits"),
        ("sha256", f"{SHA256}\n", "64 lower-case hex digits"),
        ("sizeBytes", True, "a whole number"),
        ("sizeBytes", 0, "a whole number"),
        ("sizeBytes", 2.0, "a whole number"),
        ("sequence", 2**53, "a whole number"),
        ("models", [], "a list of at least one model"),
        ("models", ["a", 7], "a list of at least one model"),
        ("models", "thermostat", "a list of at least one model"),
        ("expiresAt", "2099-01-01T00:00:00+00:00", "a time like"),
        ("expiresAt", "2099-02-30T00:00:00Z", "a time like"),
        ("expiresAt", 4_070_908_800, "a time like"),
        ("minimumVersion", "2", "a version like 2.0.0"),
        ("allowDowngrade", 1, "true or false"),
    ],
)
def test_an_invalid_field_is_refused(name: str, value: Any, what: str) -> None:
    with pytest.raises(ManifestError, match=f"{name} of its payload must be {what}"):
        manifest.read(signed(**{name: value}))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=4,
)
parts = st.binary(max_size=30).map(encoded) | junk.map(encoded) | st.text("ab-_.", max_size=6)


@given(st.text(max_size=40) | st.lists(parts, min_size=3, max_size=3).map(".".join))
@example(f"{encoded(HEADER)}.{encoded(b'1' * 9_000)}.{SIGNATURE}")
def test_any_text_is_refused_with_a_manifest_error(text: str) -> None:
    with pytest.raises(ManifestError):
        manifest.read(text)


@given(st.dictionaries(st.sampled_from([*PAYLOAD, "minimumVersion", "allowDowngrade"]), junk))
def test_any_payload_is_refused_or_read(payload: dict[str, Any]) -> None:
    with suppress(ManifestError):
        manifest.read(signed(**payload))


def test_a_manifest_completes_a_firmware_with_hash_and_size() -> None:
    firmware = replace(FIRMWARE, manifest=signed())
    assert manifest.complete(firmware) == replace(firmware, sha256=SHA256, size_bytes=SIZE)
    assert manifest.complete(FIRMWARE) == FIRMWARE


def test_every_difference_is_named() -> None:
    firmware = replace(FIRMWARE, version="2.5.0", sha256="0" * 64, size_bytes=1, manifest=signed())
    with pytest.raises(DifferingError) as differing:
        manifest.complete(firmware)
    assert differing.value.differences == {
        "version": "differs from the manifest, which has 2.4.0",
        "sha256": f"differs from the manifest, which has {SHA256}",
        "sizeBytes": f"differs from the manifest, which has {SIZE}",
    }


@pytest.mark.parametrize(
    ("earlier", "undone", "why"),
    [
        (None, 9, None),
        (signed(sequence=9), 9, None),
        (signed(sequence=8), None, None),
        (signed(sequence=8, allowDowngrade=True), 9, None),
        (
            signed(sequence=8),
            9,
            "its manifest has sequence 8, below 9, which devices have accepted",
        ),
        (signed(expiresAt="2026-11-23T12:00:00Z"), 7, "its manifest expired at 2026-11-23T12:00"),
        (signed(expiresAt="2026-11-23T12:00:01Z"), 7, None),
    ],
)
def test_a_rollback_names_why_devices_would_refuse_its_firmware(
    earlier: str | None, undone: int | None, why: str | None
) -> None:
    newest = signed(sequence=undone) if undone else None
    rollout = make_rollout(firmware=replace(FIRMWARE, manifest=newest))
    found = manifest.refusal_reason(replace(FIRMWARE, manifest=earlier), rollout, NOON)
    assert found is None if why is None else found and found.startswith(why)
