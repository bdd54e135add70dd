"""When a manifest or a link is too close to its expiry for a device to start."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.rollout import expiry
from tests.functions.builders import at, make_rollout
from tests.functions.manifests import signed

URI = "https://packages.example/fw-2.4.0.bin"


def with_manifest(time: datetime) -> Firmware:
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Firmware(version="2.4.0", package_uri=URI, manifest=signed(expiresAt=text))


def with_link(time: datetime, version: str = "2.4.0") -> Firmware:
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Firmware(version=version, package_uri=f"{URI}?se={text}&sig=b2xk")


def find(firmware: Firmware, seconds: float, **values: Any) -> str | None:
    """Return the code of the reason of a device that would start `seconds` after noon."""
    reason = expiry.firmware_reason(make_rollout(**values), firmware, at(seconds))
    return reason.code if reason else None


def test_no_device_starts_in_the_last_two_minutes_of_a_manifest() -> None:
    assert find(with_manifest(at(1000)), 879) is None
    assert find(with_manifest(at(1000)), 880) == "manifestExpires"
    assert find(Firmware(version="2.4.0", package_uri=URI), 999_999) is None


@pytest.mark.parametrize(
    ("finished", "seconds", "margin"),
    [
        (0, 0.0, 300),
        (4, 4 * 900.0, 300),  # too few devices to tell
        (5, 5 * 900.0, 900),
        (5, 5 * 60.0, 300),
        (10, 10 * 7200.0, 3600),  # not longer than the timeout
    ],
)
def test_a_link_must_last_as_long_as_an_update_usually_takes(
    finished: int, seconds: float, margin: float
) -> None:
    values = {"finished": finished, "finish_seconds": seconds}
    link = with_link(at(9000))
    assert find(link, 9000 - margin - 1, **values) is None
    assert find(link, 9000 - margin, **values) == "packageUriExpires"


def test_no_margin_is_longer_than_the_timeout() -> None:
    strategy = Strategy(timeout=timedelta(seconds=60))
    for firmware in (with_manifest(at(1000)), with_link(at(1000))):
        assert find(firmware, 939, strategy=strategy) is None
        assert find(firmware, 940, strategy=strategy) is not None


@pytest.mark.parametrize(
    ("seconds", "when"),
    [
        (800, "expires at 2026-11-23T12:16:40Z. No device starts in the last 5 min."),
        (1000, "expired at 2026-11-23T12:16:40Z."),
    ],
)
def test_the_reason_says_what_expires_when_and_what_to_do(seconds: float, when: str) -> None:
    reason = expiry.firmware_reason(make_rollout(), with_link(at(1000)), at(seconds))
    assert reason is not None
    assert reason.message == (
        f"The package URI of 2.4.0 {when} Resume with a new packageUri of the same package, and"
        " retry devices that failed."
    )
    of_manifest = expiry.firmware_reason(make_rollout(), with_manifest(at(900)), at(900))
    assert of_manifest is not None
    assert of_manifest.message.startswith("The manifest of 2.4.0 expired at ")
    assert "Sign 2.4.0 again" in of_manifest.message


def test_a_rollback_of_several_versions_waits_once_all_its_packages_expire() -> None:
    late, early = with_link(at(9000)), with_link(at(1000), "2.3.0")
    both: dict[str, Any] = {"firmware": early, "earlier_firmware": (late,)}
    assert expiry.find_reason(make_rollout(**both), at(1000)) is None
    reason = expiry.find_reason(make_rollout(**both), at(9000))
    assert reason is not None
    assert reason.message.startswith("The package URI of 2.3.0 expired")
    assert reason.message.endswith("Roll out each earlier version by a new rollout.")
    assert expiry.sendable_until(make_rollout(**both)) == at(9000)


def test_a_package_is_sendable_until_its_manifest_or_link_expires() -> None:
    signed_link = Firmware(
        version="2.4.0",
        package_uri=with_link(at(700)).package_uri,
        manifest=with_manifest(at(900)).manifest,
    )
    assert expiry.sendable_until(make_rollout(firmware=signed_link)) == at(700)
    assert expiry.sendable_until(make_rollout()).year == 9999
