"""Test which key sets a device accepts, and which of their keys it trusts."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signed_firmware import publisher
from signed_firmware.errors import ManifestError, TrustStoreError
from signed_firmware.jwk import build_jwk, compute_thumbprint, read_jwk
from signed_firmware.trust import TrustStore
from tests.signed_firmware.builders import KEY, OTHER_KEY, base64url

JWK = build_jwk(KEY.public_key())
OTHER_JWK = build_jwk(OTHER_KEY.public_key())
REVOKED = {"revoked_at": 1_795_000_000, "reason": "compromised"}
RSA = {"kty": "RSA", "kid": "another", "n": "AQAB", "e": "AQAB"}


def test_the_thumbprint_is_that_of_rfc_8037() -> None:
    # Appendix A.2 and A.3.
    key = read_jwk(
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    )
    assert compute_thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_publishers_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(publisher.build_key_set(KEY))
    assert TrustStore.read(file).key(publisher.compute_kid(KEY)) == KEY.public_key()


def test_a_key_that_is_not_in_the_file_is_unknown() -> None:
    _assert_no_key(_store(JWK), OTHER_JWK["kid"], "keyUnknown")


def test_a_revoked_key_is_refused_and_the_others_are_not() -> None:
    store = _store(JWK | {"revoked": REVOKED}, OTHER_JWK)
    _assert_no_key(store, JWK["kid"], "keyRevoked")
    assert store.key(OTHER_JWK["kid"]) == OTHER_KEY.public_key()


def test_a_key_revoked_in_the_future_is_revoked_now() -> None:
    store = _store(JWK | {"revoked": {"revoked_at": 2**40}})
    _assert_no_key(store, JWK["kid"], "keyRevoked")


@pytest.mark.parametrize("revoked", [None, False, True, "yes", {}, {"revoked_at": "2026"}])
def test_an_invalid_revocation_is_refused(revoked: Any) -> None:
    _assert_no_store([JWK | {"revoked": revoked}], "revoked must be")


def test_keys_of_other_types_are_ignored() -> None:
    assert list(_store(RSA, {"kty": "OKP", "crv": "X25519"}, JWK).keys) == [JWK["kid"]]


def test_a_set_without_an_ed25519_key_is_refused() -> None:
    _assert_no_store([], "no Ed25519 key")
    _assert_no_store([RSA], "no Ed25519 key")


@pytest.mark.parametrize("name", ["d", "p", "k", "oth"])
@pytest.mark.parametrize("jwk", [JWK, RSA], ids=["ours", "another"])
def test_a_private_key_is_refused_and_never_repeated(jwk: dict[str, Any], name: str) -> None:
    with pytest.raises(TrustStoreError, match="private key") as refused:
        _store(JWK, jwk | {name: "c2VjcmV0"})
    assert "c2VjcmV0" not in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"kid": "release"},
        {"kid": None},
        {"kid": OTHER_JWK["kid"]},
        {"x": OTHER_JWK["x"]},
        {"x": JWK["x"] + "="},
        {"x": base64url(b"short")},
        {"x": "é" * 43},
        {"x": None},
    ],
)
def test_a_key_that_does_not_match_its_kid_is_refused(changes: dict[str, Any]) -> None:
    _assert_no_store([JWK | changes], "a key")


def test_the_same_key_twice_is_refused() -> None:
    # Else the second could take back what the first says of its revocation.
    _assert_no_store([JWK | {"revoked": REVOKED}, JWK], "twice")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": {}}', '{"keys": [1]}', b"\xff"])
def test_an_invalid_key_set_is_refused(text: str | bytes) -> None:
    with pytest.raises(TrustStoreError):
        TrustStore.from_json(text)


@given(st.binary() | st.text())
def test_arbitrary_input_is_refused(text: str | bytes) -> None:
    with pytest.raises(TrustStoreError):
        TrustStore.from_json(text)


def _store(*jwks: dict[str, Any]) -> TrustStore:
    return TrustStore.from_json(json.dumps({"keys": jwks}))


def _assert_no_store(jwks: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(TrustStoreError, match=message):
        _store(*jwks)


def _assert_no_key(store: TrustStore, kid: str, code: str) -> None:
    with pytest.raises(ManifestError) as refused:
        store.key(kid)
    assert refused.value.code == code
