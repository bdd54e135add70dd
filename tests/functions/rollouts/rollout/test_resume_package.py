"""What a resume says and changes: a new link, an expiry, known failures and new ones."""

from dataclasses import replace
from typing import Any

import pytest

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.outage import HUB, Outage
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.stop import Stop
from functions.rollouts.model.wave import Counts, WaveStatus
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller, NotAllowedError
from tests.functions.builders import NOON, at, make_rollout, make_wave
from tests.functions.rollouts.rollout.stratified import (
    SMALL,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)

ADA = Caller("ada")
WHY = Reason(code="paused", message="Paused by ada.")
URI = "https://packages.example/fw-2.4.0.bin"
NEW_URI = "https://new.example/fw.bin?sig=secret"
EXPIRED = Firmware(version="2.4.0", package_uri=f"{URI}?se=2026-11-23T12:00:00Z&sig=b2xk")


def make_paused(counts: Counts | None = None, **values: Any) -> Rollout:
    wave = make_wave(counts.total, counts=counts) if counts else make_wave(2)
    known: dict[str, Any] = {"stops": (Stop(reason=WHY, revision=1),), "status_reason": WHY}
    return make_rollout(wave, **{"status": RolloutStatus.PAUSED, "revision": 5, **known, **values})


def test_a_message_ends_with_the_callers_reason_or_a_full_stop() -> None:
    assert Caller("ada").message("Paused") == "Paused."
    assert Caller("ada", "lunch").message("Paused") == "Paused: lunch"


def test_a_resume_sends_a_new_link_and_keeps_the_former_one() -> None:
    found = operator_commands.resume(make_paused(), at(60), ADA, package_uri=NEW_URI)
    assert found.firmware == Firmware(version="2.4.0", package_uri=NEW_URI)
    assert found.definition.earlier_links == (URI,)
    message = found.audit.events[-1].message
    assert message.startswith("Resumed by ada, with the package from https://new.example/fw.bin")
    assert "secret" not in message
    without = operator_commands.resume(make_paused(), at(60), ADA)
    assert without.audit.events[-1].message == "Resumed by ada."
    assert without.definition == make_paused().definition


def test_no_link_replaces_the_packages_of_several_versions() -> None:
    others = tuple(Firmware(version=f"1.{n}", package_uri=URI) for n in range(6))
    rollout = make_paused(earlier_firmware=others)
    with pytest.raises(NotAllowedError, match=r"versions \(1\.0, 1\.1, 1\.2, 1\.3, 1\.4\), and"):
        operator_commands.relocate(rollout, NEW_URI)


def test_a_rollout_whose_package_has_expired_is_resumed_with_a_new_link_alone() -> None:
    rollout = make_paused(firmware=EXPIRED)
    with pytest.raises(NotAllowedError, match=r"package URI of 2\.4\.0 expired"):
        operator_commands.resume(rollout, at(60), ADA)
    found = operator_commands.resume(rollout, at(60), ADA, package_uri=NEW_URI)
    assert found.status is RolloutStatus.RUNNING
    started = make_paused(Counts(updating=2), firmware=EXPIRED)
    assert operator_commands.resume(started, at(60), ADA).status is RolloutStatus.RUNNING


def test_a_resume_may_name_the_latest_revision_and_no_later_one() -> None:
    assert operator_commands.resume(make_paused(), at(60), ADA, 5).status is RolloutStatus.RUNNING
    with pytest.raises(NotAllowedError, match="Revision 6 was not shown"):
        operator_commands.resume(make_paused(), at(60), ADA, 6)


def test_a_pause_that_was_not_shown_stays_and_is_recorded_again() -> None:
    later = replace(WHY, message="Paused again.")
    stops = (Stop(reason=WHY, revision=1), Stop(reason=later, revision=4))
    found = operator_commands.resume(make_paused(stops=stops), at(60), ADA, 2)
    assert (found.status, found.stops) == (RolloutStatus.PAUSED, stops[1:])
    assert [event.action for event in found.audit.events] == ["resumed", "paused"]
    assert found.audit.events[-1].message.startswith("Paused again. This came after")
    both = operator_commands.resume(make_paused(stops=stops), at(60), ADA, 4)
    assert [event.action for event in both.audit.events] == ["resumed"]


def test_a_resumed_rollout_shows_the_outage_that_lasts() -> None:
    outage = Outage(code=HUB, message="The hub fails.", since=NOON)
    found = operator_commands.resume(make_paused(outages=(outage,)), at(60), ADA)
    assert found.status_reason == Reason(code=HUB, message="The hub fails.")


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (Counts(updating=1, failed=1), "(1 known failure acknowledged)"),
        (Counts(updating=1, failed=2), "(2 known failures acknowledged)"),
        (Counts(skipped=2), "(too little evidence of canary, b acknowledged)"),
    ],
)
def test_a_resume_says_what_it_acknowledges(counts: Counts, text: str) -> None:
    failed = make_wave(
        counts.total, name="canary", counts=counts, status=WaveStatus.FAILED, ended_at=NOON
    )
    other = replace(failed, name="b", counts=Counts(skipped=counts.total))
    waves = (failed, other) if counts.skipped else (failed, make_wave(2, name="b"))
    found = operator_commands.resume(make_paused(waves=waves), at(60), ADA)
    assert found.audit.events[-1].message == f"Resumed by ada {text}."


def test_a_rollout_of_which_only_frozen_strata_wait_needs_their_names() -> None:
    wave = make_stratified_wave(make_part(completed=1), make_part(queued=1))
    frozen = Stop(reason=Reason(code="stratumFrozen", message="Waits."), revision=1)
    values: dict[str, Any] = {"status": RolloutStatus.PAUSED, "revision": 5}
    rollout = freeze(make_stratified(wave, stops=(frozen,), **values), SMALL)
    with pytest.raises(NotAllowedError, match="Only devices of frozen strata are left: small"):
        operator_commands.resume(rollout, at(60), ADA)
    paused = replace(rollout, stops=(Stop(reason=WHY, revision=1), frozen))
    assert operator_commands.resume(paused, at(60), ADA).status is RolloutStatus.RUNNING


def test_a_rollback_and_an_approval_are_recorded_with_their_caller() -> None:
    rolled_back = operator_commands.roll_back(make_rollout(), at(60), ADA, "r")
    event = rolled_back.audit.events[-1]
    assert (event.at, event.action, event.by) == (at(60), "rolledBack", "ada")
    assert event.message == "Rolled back by ada."
    pending = make_wave(2, status=WaveStatus.PENDING, approval=True)
    requested = Reason(code="awaitingApproval", message="")
    approved = operator_commands.approve(
        make_rollout(pending, status_reason=requested), at(60), ADA
    )
    assert approved.status_reason is None
    assert (approved.audit.events[-1].at, approved.audit.events[-1].by) == (at(60), "ada")


def test_a_command_that_is_not_allowed_names_the_statuses_that_allow_it() -> None:
    with pytest.raises(NotAllowedError) as refused:
        operator_commands.pause(make_paused(), at(60), ADA)
    expected = "The rollout is paused; pause is for rollouts that are: scheduled, running."
    assert str(refused.value) == expected
