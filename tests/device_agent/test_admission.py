"""Test signed offers on a whole device, when admitted and again before the installation."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from device_agent.admission import Policy
from signed_firmware.manifest import Manifest
from signed_firmware.publisher import build_key_set, compute_kid, generate_key, sign_manifest
from signed_firmware.trust import TrustStore
from tests.device_agent.bench_device import NEW, OLD, Bench
from tests.device_agent.volatile_disk import PowerLossError

KEY = generate_key()
TRUST = TrustStore.from_json(build_key_set(KEY))
MODEL = "thermostat-x1"
DAY = 24 * 60 * 60


def make_bench(**policy: Any) -> Bench:
    return Bench(policy=replace(Policy(model=MODEL, trust=TRUST, signed_only=True), **policy))


def offer(bench: Bench, **more: Any) -> dict[str, Any]:
    plain = bench.payload
    read_slot: dict[str, Any] = {
        "version": NEW,
        "sha256": plain["sha256"],
        "size_bytes": plain["sizeBytes"],
        "models": (MODEL,),
        "sequence": 7,
        "expires_at": datetime(2026, 12, 3, tzinfo=UTC),
        "minimum_version": None,
        "allow_downgrade": False,
    }
    return plain | {"manifest": sign_manifest(Manifest(**(read_slot | more)), KEY)}


def refused(bench: Bench, payload: dict[str, Any]) -> str:
    (response,) = bench.run_once(payload)
    assert response.status == 400
    return response.payload["errorCode"]


def test_a_signed_offer_is_installed_and_its_sequence_remembered() -> None:
    bench = make_bench()
    bench.run(offer(bench))
    assert bench.twin["firmwareVersion"] == NEW
    older = offer(bench, sequence=6) | {"attempt": 2}
    assert refused(bench, older) == "downgrade"
    bench.run(offer(bench, sequence=6, allow_downgrade=True) | {"attempt": 3})
    assert bench.twin["firmwareUpdate"]["attempt"] == 3
    assert refused(bench, offer(bench, sequence=6) | {"attempt": 4}) == "downgrade"


def test_unconfirmed_firmware_does_not_raise_the_sequence() -> None:
    bench = make_bench()
    bench.health_problem = "no sensor responds"
    bench.run(offer(bench, sequence=9))
    bench.health_problem = None
    bench.run(offer(bench, sequence=8) | {"attempt": 2})
    assert bench.twin["firmwareVersion"] == NEW


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"models": ("another",)}, "wrongModel"),
        ({"minimum_version": "1.0.1"}, "versionTooOld"),
        ({"expires_at": datetime(2026, 12, 1, tzinfo=UTC)}, "manifestExpired"),
        ({"sha256": "0" * 64}, "manifestMismatch"),
        ({"size_bytes": 5}, "manifestMismatch"),
        ({"version": "2.4.1"}, "manifestMismatch"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_before_the_download(
    changed: dict[str, Any], code: str
) -> None:
    bench = make_bench()
    assert refused(bench, offer(bench, **changed)) == code
    assert bench.server.sent == 0


def test_unsigned_offers_are_refused_only_if_the_policy_requires_signatures() -> None:
    bench = make_bench()
    assert refused(bench, bench.payload) == "unsigned"
    assert make_bench(signed_only=False).run_once(bench.payload)[0].status == 200


def test_a_policy_that_requires_signatures_needs_keys() -> None:
    with pytest.raises(ValueError, match="keys to trust"):
        Policy(model=MODEL, signed_only=True)


@pytest.mark.parametrize("what", ["expired", "revoked"])
def test_a_manifest_that_becomes_invalid_during_the_download_is_refused(what: str) -> None:
    bench = make_bench()
    bench.limits = replace(bench.limits, max_seconds=9 * DAY)
    bench.power.back(60)
    with pytest.raises(PowerLossError):
        bench.run_once(offer(bench))
    bench.power.back(None)
    if what == "expired":
        bench.clock.seconds += 3 * DAY
    else:
        revoked = TrustStore(TRUST.keys, frozenset({compute_kid(KEY)}))
        bench.policy = replace(bench.policy, trust=revoked)
    bench.run()
    code = {"expired": "manifestExpired", "revoked": "keyRevoked"}[what]
    assert bench.twin["firmwareUpdate"]["errorCode"] == code
    assert bench.twin["firmwareVersion"] == OLD
