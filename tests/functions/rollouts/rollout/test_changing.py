"""Change the strategy of a rollout that is open."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.model.block import BlockSummary
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import FailureGate, Strategy, WavePlan, percent
from functions.rollouts.model.stratum import StratumGate
from functions.rollouts.model.target import Target, TargetResolution
from functions.rollouts.model.wave import Counts, Wave, WaveStatus, WaveStratum
from functions.rollouts.rollout import changing
from functions.rollouts.rollout.operator_commands import Caller, NotAllowedError
from functions.rollouts.rollout.start_order import WavesError
from tests.functions.builders import at, make_blocks, make_rollout, make_update, make_wave

ADA = Caller("ada", "because")
COMPLETED, PENDING, RUNNING = WaveStatus.COMPLETED, WaveStatus.PENDING, WaveStatus.RUNNING
STRICT = FailureGate(acceptable=percent(1), unacceptable=percent(11))


def change(rollout: Rollout, **fields: Any) -> Rollout:
    strategy = replace(rollout.strategy, **fields)
    return changing.change(rollout, at(60), ADA, strategy, {})


def pending(size: int, name: str = "rest", **values: Any) -> Wave:
    return make_wave(size, name=name, status=PENDING, started_at=None, **values)


def ended(size: int, failed: int = 0, **values: Any) -> Wave:
    counts = Counts(completed=size - failed, failed=failed)
    known: dict[str, Any] = {
        "name": "canary",
        "counts": counts,
        "status": COMPLETED,
        "ended_at": at(30),
    }
    return make_wave(size, **known | values)


def statuses(rollout: Rollout) -> Sequence[WaveStatus]:
    return [wave.status for wave in rollout.waves]


def test_a_change_is_recorded_with_its_caller_and_the_reason() -> None:
    event = change(make_rollout(), max_in_flight=5).audit.events[-1]
    assert (event.at, event.action, event.by) == (at(60), "changed", "ada")
    assert event.message.endswith(": because")


def test_a_change_to_the_present_strategy_changes_nothing() -> None:
    rollout = make_rollout()
    assert change(rollout) is rollout


@pytest.mark.parametrize("status", RolloutStatus)
def test_only_a_rollout_that_is_open_is_changed(status: RolloutStatus) -> None:
    rollout = make_rollout(status=status)
    if status in {RolloutStatus.SCHEDULED, RolloutStatus.RUNNING, RolloutStatus.PAUSED}:
        changing.require_open(rollout)
        return
    with pytest.raises(NotAllowedError):
        changing.require_open(rollout)


def test_a_wave_that_has_not_opened_has_moved_once_a_device_is_not_queued() -> None:
    canary, rest = make_wave(5, counts=Counts(updating=5)), pending(5)
    assert not changing.has_moved_pending(make_rollout(canary, rest))
    moved = replace(rest, counts=Counts(queued=4, skipped=1))
    assert changing.has_moved_pending(make_rollout(canary, moved))


def test_blocks_of_waves_that_have_not_opened_begin_with_their_first_device() -> None:
    assert list(changing.pending_blocks(make_rollout(make_wave(150), pending(150)))) == [1, 2]
    assert list(changing.pending_blocks(make_rollout(make_wave(100), pending(50)))) == [1]
    assert not changing.pending_blocks(make_rollout(make_wave(100)))


@pytest.mark.parametrize(
    ("opened", "added", "expected"),
    [
        ([None], 1, (2, 2)),  # of two waves, the opened one has a half
        ([None], 2, (2, 4, 4)),
        ([4], 1, (4, 2)),  # 4/3, rounded up
        ([4], 2, (4, 3, 3)),
        ([4, None], 1, (4, 2, 4)),
        ([], 3, (3, 3, 3)),
    ],
)
def test_waves_that_have_not_opened_divide_what_the_opened_leave_of_the_error_rate(
    opened: list[int | None], added: int, expected: tuple[int, ...]
) -> None:
    waves = [make_wave(5, error_divisor=divisor) for divisor in opened]
    found = changing.divide_error_rate(waves, [pending(5)] * added, 2)
    assert tuple(wave.error_divisor for wave in found) == expected


def test_waves_that_have_not_opened_are_cut_anew_and_keep_their_devices_counts() -> None:
    strata: dict[str, Any] = {"strata": (WaveStratum(), WaveStratum())}
    rollout = make_rollout(
        make_wave(2, name="1", **strata),
        pending(6, **strata),
        strategy=Strategy(waves=(WavePlan(size=2),)),
        strata=("large", "small"),
        stratum_gates=(StratumGate(), StratumGate()),
    )
    skipped: dict[str, Any] = {"state": DeviceState.SKIPPED, "stratum": 1}
    running = skipped | {"skip_reason": SkipReason.ALREADY_RUNNING}
    updates = [
        *(make_update(f"d-{n}", stratum=0) for n in range(3)),
        make_update("d-3", **running),
        make_update("d-4", **skipped),
        make_update("d-5", stratum=0),
        make_update("d-6", stratum=2),  # not judged
        make_update("d-7"),
    ]
    strategy = replace(rollout.strategy, waves=(WavePlan(size=2), WavePlan(size=2)))
    found = changing.change(rollout, at(60), ADA, strategy, make_blocks(updates))
    _, second, rest = found.waves
    assert (second.first, second.size, rest.first, rest.size) == (2, 2, 4, 4)
    assert (second.counts, second.already_running) == (Counts(queued=1, skipped=1), 1)
    assert (rest.counts, rest.already_running) == (Counts(queued=3, skipped=1), 0)
    assert second.strata == (
        WaveStratum(counts=Counts(queued=1)),
        WaveStratum(counts=Counts(skipped=1), already_running=1),
    )
    assert rest.strata == (
        WaveStratum(counts=Counts(queued=1)),
        WaveStratum(counts=Counts(skipped=1)),
    )


def test_devices_of_blocks_that_are_not_read_count_as_queued() -> None:
    rollout = make_rollout(make_wave(2, name="1"), pending(248))
    found = change(rollout, waves=(WavePlan(size=2), WavePlan(size=100)))
    assert [wave.counts for wave in found.waves[1:]] == [Counts(queued=100), Counts(queued=148)]


def test_devices_of_a_later_block_are_counted_at_their_own_positions() -> None:
    rollout = make_rollout(make_wave(2, name="1"), pending(148))
    updates = [make_update(f"d-{n}", state=DeviceState.SKIPPED) for n in range(50)]
    blocks = {1: replace(make_blocks(updates)[0], number=1)}
    strategy = Strategy(waves=(WavePlan(size=2), WavePlan(size=108)))
    found = changing.change(rollout, at(60), ADA, strategy, blocks)
    assert found.waves[1].counts == Counts(queued=98, skipped=10)
    assert found.waves[2].counts == Counts(skipped=40)


RESOLVING: dict[str, Any] = {"status": RolloutStatus.SCHEDULED, "waves": (), "started_at": None}


def test_waves_of_a_target_that_is_not_resolved_yet_are_only_checked() -> None:
    rollout = make_rollout(**RESOLVING, resolution=TargetResolution(devices=10))
    found = change(rollout, waves=(WavePlan(size=10),))
    assert (found.strategy.waves, found.waves) == ((WavePlan(size=10),), ())
    with pytest.raises(WavesError):
        change(rollout, waves=(WavePlan(size=11),))


def test_waves_of_a_condition_are_checked_once_its_devices_are_known() -> None:
    rollout = make_rollout(**RESOLVING, resolution=TargetResolution(devices=10))
    definition = replace(rollout.definition, target=Target(condition="tags.site = 'berlin'"))
    found = change(replace(rollout, definition=definition), waves=(WavePlan(size=11),))
    assert found.strategy.waves == (WavePlan(size=11),)


def test_waves_of_a_target_that_is_being_stored_are_not_changed() -> None:
    gathered = TargetResolution(devices=10, gathered=True)
    with pytest.raises(NotAllowedError, match="being stored"):
        change(make_rollout(**RESOLVING, resolution=gathered), waves=(WavePlan(size=1),))


LATE, EARLY = BlockSummary(at(500), 3), BlockSummary(at(5), 2)
NONE_DUE = BlockSummary(None, 1)


@pytest.mark.parametrize(
    ("fields", "soak_revision", "timeout_revision"),
    [
        ({"soak": timedelta(minutes=5)}, 8, 1),
        ({"timeout": timedelta(minutes=5)}, 2, 8),
        ({"soak": timedelta(minutes=5), "timeout": timedelta(minutes=5)}, 8, 8),
    ],
)
def test_a_new_soak_or_timeout_makes_each_block_due_that_has_a_due_time(
    fields: dict[str, timedelta], soak_revision: int, timeout_revision: int
) -> None:
    rollout = make_rollout(
        make_wave(250),
        block_summaries=(LATE, EARLY, NONE_DUE),
        revision=7,
        soak_revision=2,
        timeout_revision=1,
    )
    found = change(rollout, **fields)
    assert found.block_summaries == (BlockSummary(at(60), 3), EARLY, NONE_DUE)
    assert (found.soak_revision, found.timeout_revision) == (soak_revision, timeout_revision)


def test_any_other_change_leaves_the_due_times_as_they_are() -> None:
    rollout = make_rollout(make_wave(250), block_summaries=(LATE, EARLY, NONE_DUE))
    assert change(rollout, max_in_flight=3).block_summaries == (LATE, EARLY, NONE_DUE)


@pytest.mark.parametrize(
    ("not_started", "fields", "reopened"),
    [
        (0, {"failure_gate": STRICT}, True),
        (0, {"max_not_started": percent(1)}, True),  # the failures breach the gate anyway
        (0, {"max_in_flight": 3}, False),
        (0, {"failure_gate": FailureGate(acceptable=percent(20), unacceptable=percent(60))}, False),
        (5, {"max_not_started": percent(1)}, True),
        (5, {"max_not_started": percent(90)}, True),
    ],
)
def test_a_completed_wave_runs_again_if_its_failures_breach_a_changed_limit(
    not_started: int, fields: dict[str, Any], *, reopened: bool
) -> None:
    wave = ended(20, failed=5, not_started=not_started)
    found = change(make_rollout(wave, ended(5, name="rest")), **fields)
    assert statuses(found) == [RUNNING if reopened else COMPLETED, COMPLETED]
    assert found.waves[0].ended_at == (None if reopened else at(30))


def test_a_completed_wave_runs_again_if_too_many_devices_have_not_started() -> None:
    healthy = make_wave(20).sequence
    wave = ended(20, failed=5, not_started=5, sequence=healthy)
    rollout = make_rollout(wave, strategy=Strategy(max_not_started=percent(50)))
    assert statuses(change(rollout, max_not_started=percent(10))) == [RUNNING]
    assert statuses(change(rollout, max_not_started=percent(40))) == [COMPLETED]


def test_a_wave_that_an_operator_resumed_past_does_not_run_again() -> None:
    rollout = make_rollout(ended(20, failed=5, passed=True), ended(20, failed=5, name="rest"))
    assert statuses(change(rollout, failure_gate=STRICT)) == [COMPLETED, RUNNING]


@pytest.mark.parametrize(
    ("waves", "reopened"),
    [
        ((pending(5),), True),
        ((pending(5, "two"), pending(5)), True),
        ((make_wave(5, name="rest"),), False),
        ((make_wave(5, name="two"), pending(5)), False),
    ],
)
def test_a_completed_wave_runs_again_if_the_next_one_would_wait_for_it_for_ever(
    waves: tuple[Wave, ...], *, reopened: bool
) -> None:
    strategy = Strategy(success_share=percent(50))
    rollout = make_rollout(ended(20, failed=1, not_started=1), *waves, strategy=strategy)
    found = change(rollout, success_share=percent(100))
    assert found.waves[0].status is (RUNNING if reopened else COMPLETED)


@pytest.mark.parametrize("code", ["awaitingApproval", "ambientOutage"])
def test_a_request_for_an_approval_ends_if_no_wave_waits_for_one(code: str) -> None:
    reason = Reason(code=code, message="Waits.")
    rollout = make_rollout(
        ended(2, name="1"),
        pending(5, name="2", approval=True),
        pending(5),
        strategy=Strategy(waves=(WavePlan(size=2), WavePlan(size=5, approval=True))),
        status_reason=reason,
    )
    assert change(rollout, max_in_flight=3).status_reason == reason
    found = change(rollout, waves=(WavePlan(size=2), WavePlan(size=5)))
    assert found.status_reason == (None if code == "awaitingApproval" else reason)
