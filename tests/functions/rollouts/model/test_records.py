"""What small records tell: requests, shares, outages, firmware and identities."""

from datetime import datetime

import pytest

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.identity import ITSELF, IdentityKind, named
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.outage import AMBIENT, HUB, Outage
from functions.rollouts.model.strategy import ResolveTarget, Share, Strategy
from tests.functions.builders import at, make_update

FIRMWARE = Firmware(version="1.9.0", package_uri="https://packages.example/0.bin")


@pytest.mark.parametrize(
    ("start_at", "resolve", "condition", "is_later"),
    [
        (at(61), ResolveTarget.START, "tags.a = 1", True),
        (at(60), ResolveTarget.START, "tags.a = 1", False),
        (None, ResolveTarget.START, "tags.a = 1", False),
        (at(61), ResolveTarget.CREATION, "tags.a = 1", False),
        (at(61), ResolveTarget.START, None, False),
    ],
)
def test_a_condition_is_evaluated_at_a_start_that_has_not_come(
    start_at: datetime | None, resolve: ResolveTarget, condition: str | None, is_later: bool
) -> None:
    request = NewRollout(
        firmware=FIRMWARE,
        strategy=Strategy(resolve_target=resolve),
        body_hash="0",
        condition=condition,
        start_at=start_at,
    )
    assert request.is_resolved_later(at(60)) is is_later


@pytest.mark.parametrize(
    ("hundredths", "total", "least"),
    [(500, 21, 2), (500, 20, 1), (0, 9, 0), (1, 10_000, 1), (1, 10_001, 2), (10_000, 7, 7)],
)
def test_a_share_of_devices_is_rounded_up(hundredths: int, total: int, least: int) -> None:
    share = Share(hundredths)
    assert share.at_least(total) == least
    assert share.of(total) * 10_000 == total * hundredths


def test_only_an_ambient_outage_concerns_a_stratum_alone() -> None:
    update = make_update(stratum=1)
    for code, stratum, concerns in (
        (AMBIENT, 1, True),
        (AMBIENT, 2, False),
        (AMBIENT, None, False),
        (HUB, None, True),
        (HUB, 2, True),
    ):
        outage = Outage(code=code, message="why", since=at(0), stratum=stratum)
        assert outage.concerns(update) is concerns


def test_a_firmware_is_named_by_its_version_or_another_name_without_spaces_around_it() -> None:
    firmware = Firmware(version="2.4.0", package_uri="u", reported_as=(" 2.4 ",))
    found = [firmware.is_named(name) for name in ("2.4.0", "2.4", " 2.4 ", "2.4.", "V2.4.0")]
    assert found == [True, True, False, False, False]


def test_a_caller_that_is_known_by_name_alone_is_one_of_the_api() -> None:
    assert named("rollout") is ITSELF
    ada = named("ada")
    assert (ada.kind, ada.name, ada.id) == (IdentityKind.API, "ada", None)
