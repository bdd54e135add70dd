"""Test that a device refuses every invalid manifest with the right code."""

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from jwt import PyJWS
from jwt.utils import base64url_decode

from signed_firmware import publisher
from signed_firmware.errors import ManifestError
from signed_firmware.jwk import build_jwk
from signed_firmware.manifest import Manifest
from signed_firmware.trust import TrustStore
from signed_firmware.verification import verify_manifest
from tests.signed_firmware.builders import (
    HEADER,
    KEY,
    NOW,
    OTHER_KEY,
    PAYLOAD,
    TRUST,
    base64url,
    envelope,
    manifest,
)
from tests.signed_firmware.test_manifest import MANIFESTS

SIGNED = envelope()
SIGNATURE_BITS = 64 * 8
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@given(MANIFESTS.filter(lambda one: one.expires_at > LONG_AGO))
def test_a_device_accepts_what_a_publisher_signs(written: Manifest) -> None:
    assert verify_manifest(publisher.sign_manifest(written, KEY), TRUST, LONG_AGO) == written


def test_an_envelope_of_another_implementation_is_read() -> None:
    assert verify_manifest(SIGNED, TRUST, NOW) == Manifest.from_json(json.dumps(PAYLOAD))


def test_the_signature_is_that_of_rfc_8037() -> None:
    # Appendix A.1 and A.4: the key, and the JWS of "Example of Ed25519 signing".
    key = Ed25519PrivateKey.from_private_bytes(
        base64url_decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
    )
    assert PyJWS().encode(
        b"Example of Ed25519 signing", key, algorithm="EdDSA", headers={"typ": None}
    ) == (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )


@pytest.mark.parametrize("name", PAYLOAD)
def test_a_changed_payload_is_refused(name: str) -> None:
    changed = envelope(payload=PAYLOAD | {name: "changed"}).split(".")[1]
    header, _, signature = SIGNED.split(".")
    _assert_refused(f"{header}.{changed}.{signature}", "signatureInvalid")


@pytest.mark.parametrize("name", HEADER)
def test_a_changed_header_is_refused(name: str) -> None:
    changed = envelope(header=HEADER | {name: "changed"}).split(".")[0]
    _, payload, signature = SIGNED.split(".")
    code = "keyUnknown" if name == "kid" else "manifestInvalid"
    _assert_refused(f"{changed}.{payload}.{signature}", code)


def test_an_added_header_field_is_refused() -> None:
    changed = envelope(header=HEADER | {"cty": "json"}).split(".")[0]
    _, payload, signature = SIGNED.split(".")
    _assert_refused(f"{changed}.{payload}.{signature}", "signatureInvalid")


@pytest.mark.parametrize("bit", range(SIGNATURE_BITS))
def test_every_bit_of_the_signature_counts(bit: int) -> None:
    content, _, signature = SIGNED.rpartition(".")
    flipped = bytearray(base64url_decode(signature))
    flipped[bit // 8] ^= 1 << bit % 8
    _assert_refused(f"{content}.{base64url(bytes(flipped))}", "signatureInvalid")


@pytest.mark.parametrize("length", [1, 32, 63, 65, 128])
def test_a_signature_of_another_length_is_invalid(length: int) -> None:
    content, _, signature = SIGNED.rpartition(".")
    other = (base64url_decode(signature) * 2)[:length]
    _assert_refused(f"{content}.{base64url(other)}", "signatureInvalid")


def test_the_group_order_added_to_the_signature_is_invalid() -> None:
    # RFC 8032, 5.1.7: S is below the group's order; otherwise one manifest had many envelopes.
    content, _, signature = SIGNED.rpartition(".")
    raw = base64url_decode(signature)
    order = 2**252 + 27742317777372353535851937790883648493
    higher = (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    _assert_refused(f"{content}.{base64url(raw[:32] + higher)}", "signatureInvalid")


@given(st.integers(0, len(SIGNED) - 1), st.characters())
def test_every_character_of_the_envelope_counts(position: int, character: str) -> None:
    changed = SIGNED[:position] + character + SIGNED[position + 1 :]
    if changed != SIGNED:
        _assert_refused(changed, "manifestInvalid", "keyUnknown", "signatureInvalid")


def test_another_key_under_a_known_kid_is_refused() -> None:
    _assert_refused(envelope(key=OTHER_KEY), "signatureInvalid")


def test_an_untrusted_key_is_refused_despite_a_valid_signature() -> None:
    _assert_refused(publisher.sign_manifest(manifest(), OTHER_KEY), "keyUnknown")


def test_a_key_inside_the_envelope_is_never_trusted() -> None:
    own = build_jwk(OTHER_KEY.public_key())
    key_fields = {"jwk": own, "jku": "https://evil.example/keys", "x5u": "https://evil.example/x"}
    _assert_refused(envelope(header=HEADER | key_fields, key=OTHER_KEY), "signatureInvalid")
    _assert_refused(
        envelope(header=HEADER | key_fields | {"kid": own["kid"]}, key=OTHER_KEY), "keyUnknown"
    )
    assert verify_manifest(envelope(header=HEADER | key_fields), TRUST, NOW)


def test_a_revoked_key_is_refused() -> None:
    jwk = build_jwk(KEY.public_key()) | {"revoked": {"revoked_at": 1_795_000_000}}
    trust = TrustStore.from_json(json.dumps({"keys": [jwk]}))
    _assert_refused(SIGNED, "keyRevoked", trust=trust)


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "Ed25519"},
        {"alg": "eddsa"},
        {"alg": ["EdDSA"]},
        {"alg": None},
        {"typ": "JWT"},
        {"typ": "Firmware-Manifest+JWS"},
        {"typ": "application/firmware-manifest+jws"},
        {"typ": None},
        {"kid": None},
        {"kid": 7},
        {"kid": [HEADER["kid"]]},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": ["alg"]},
        {"crit": None},
        {"b64": False},
        {"b64": False, "crit": ["b64"]},
        {"b64": 1},
        {"b64": None},
    ],
    ids=json.dumps,
)
def test_a_signed_header_with_other_values_is_refused(changes: dict[str, Any]) -> None:
    _assert_refused(envelope(header=HEADER | changes), "manifestInvalid")


@pytest.mark.parametrize("name", HEADER)
def test_a_signed_header_without_a_field_is_refused(name: str) -> None:
    without = {key: value for key, value in HEADER.items() if key != name}
    _assert_refused(envelope(header=without), "manifestInvalid")


def test_an_envelope_without_a_signature_is_refused() -> None:
    header, payload, _ = envelope(header=HEADER | {"alg": "none"}).split(".")
    _assert_refused(f"{header}.{payload}.", "manifestInvalid")
    header, payload, _ = SIGNED.split(".")
    _assert_refused(f"{header}.{payload}.", "manifestInvalid")


def test_a_public_key_is_not_used_as_a_shared_secret() -> None:
    content, _, _ = envelope(header=HEADER | {"alg": "HS256"}).rpartition(".")
    secret = KEY.public_key().public_bytes_raw()
    forged = hmac.digest(secret, content.encode(), "sha256")
    _assert_refused(f"{content}.{base64url(forged)}", "manifestInvalid")


@pytest.mark.parametrize(
    "header",
    [
        json.dumps(HEADER)[:-1].encode() + b', "alg": "EdDSA"}',
        b"[]",
        b"\xff",
        b'{"alg":' * 1_000,
        json.dumps(HEADER).encode("utf-16"),
    ],
)
def test_an_ambiguous_header_is_refused(header: bytes) -> None:
    _assert_refused(envelope(header=header), "manifestInvalid")


@pytest.mark.parametrize("payload", [b"", b"{}", b"\x00", b'{"sequence": 1, "sequence": 2}'])
def test_an_invalid_payload_is_refused_even_if_signed(payload: bytes) -> None:
    _assert_refused(envelope(payload=payload), "manifestInvalid")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        SIGNED + "\n",
        " " + SIGNED,
        SIGNED + "=",
        SIGNED + "==",
        SIGNED + ".",
        SIGNED.rpartition(".")[0],
        SIGNED.replace(".", ".."),
        SIGNED[:-1] + chr(ord(SIGNED[-1]) + 1),
        json.dumps({"payload": "", "signatures": []}),
    ],
    ids=lambda text: text[-12:],
)
def test_only_one_form_of_an_envelope_is_accepted(text: str) -> None:
    _assert_refused(text, "manifestInvalid")


def test_an_envelope_has_at_most_16_kib() -> None:
    padding = 16 * 1024 - len(envelope(header=HEADER | {"x": ""}))
    sizes = (envelope(header=HEADER | {"x": "x" * n}) for n in range(padding * 3 // 4 + 4))
    longest = [one for one in sizes if len(one) > 16 * 1024 - 3]
    fits = [one for one in longest if len(one) <= 16 * 1024]
    assert fits
    assert all(verify_manifest(one, TRUST, NOW) for one in fits)
    _assert_refused(longest[-1], "manifestInvalid")


@given(st.text() | st.from_regex(r"[\w-]+\.[\w-]+\.[\w-]+", fullmatch=True))
def test_arbitrary_input_is_refused(text: str) -> None:
    _assert_refused(text, "manifestInvalid")


@given(st.binary(min_size=1), st.binary(min_size=1))
def test_arbitrary_signed_input_is_refused(header: bytes, payload: bytes) -> None:
    _assert_refused(envelope(header=header, payload=payload), "manifestInvalid")


def test_a_manifest_is_expired_from_expires_at_on() -> None:
    expires_at = datetime(2027, 1, 1, tzinfo=UTC)
    last = expires_at - timedelta(microseconds=1)
    assert verify_manifest(SIGNED, TRUST, last).expires_at == expires_at
    _assert_refused(SIGNED, "manifestExpired", now=expires_at)
    _assert_refused(SIGNED, "manifestExpired", now=expires_at + timedelta(days=400))


def _assert_refused(text: str, *codes: str, trust: TrustStore = TRUST, now: datetime = NOW) -> None:
    with pytest.raises(ManifestError) as refused:
        verify_manifest(text, trust, now)
    assert refused.value.code in codes
    assert str(refused.value).isprintable()
