"""Build records with every field set, and stored rollouts."""

from dataclasses import replace
from datetime import time, timedelta

from functions.rollout_store.ports.rollout_ids import new_rollout_id
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.model.audit_trail import AuditTrail, Event
from functions.rollouts.model.block import (
    BLOCK_SIZE,
    Block,
    BlockSummary,
    blocks_for,
    untouched_summaries,
)
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import DeviceState, ErrorCode, SkipReason
from functions.rollouts.model.device_twin import Baseline
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.dispatch import Dispatch, FreezeMatches, Lease
from functions.rollouts.model.failure_count import FailureCount
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.gate_history import GateStep
from functions.rollouts.model.gate_sequence import GateSequence, Mark
from functions.rollouts.model.identity import Identity, IdentityKind
from functions.rollouts.model.joining import Joining
from functions.rollouts.model.later_rollouts import LaterRollouts
from functions.rollouts.model.measurements import HubLoad, Measurements
from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.outage import AMBIENT, Outage
from functions.rollouts.model.pending_retry import PendingRetry, RetryState
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Definition, Rollout, RolloutStatus, StartClock
from functions.rollouts.model.stop import ShownFailures, Stop
from functions.rollouts.model.strategy import (
    Day,
    FailureGate,
    OnBreach,
    Retry,
    RetryOn,
    Share,
    Strategy,
    WavePlan,
    WhenAlreadyRunning,
    Window,
)
from functions.rollouts.model.stratum import FrozenStratum, StratumGate
from functions.rollouts.model.target import Target, TargetDevice, TargetResolution
from functions.rollouts.model.wave import Counts, Wave, WaveStatus, WaveStratum
from tests.functions.builders import at, make_update

MANY = tuple(f"device-{number:04d}" for number in range(250))

FULL_STRATEGY = Strategy(
    waves=(WavePlan(size=Share(250), name="canary"), WavePlan(size=50, approval=True)),
    success_share=Share(9750),
    failure_gate=FailureGate(confidence=0.99, on_breach=OnBreach.ROLLBACK),
    max_not_started=3,
    stratify_by=("tags.model",),
    soak=timedelta(minutes=5),
    max_in_flight=7,
    retry=Retry(attempts=5, on=frozenset({RetryOn.REPORTED})),
    window=Window(
        start=time(22), end=time(4, 30), timezone="Europe/Berlin", days=frozenset({Day.SUN})
    ),
    verify_version=False,
    when_already_running=WhenAlreadyRunning.REINSTALL,
)


def full_update(device_id: str = "thermostat-1") -> DeviceUpdate:
    return DeviceUpdate(
        device_id=device_id,
        wave=1,
        queued_at=at(0),
        updated_at=at(0.000001),
        version="1.9.0",
        package=1,
        stratum=1,
        state=DeviceState.FAILED,
        start_rank=7,
        stratum_rank=5,
        has_accepted=True,
        attempt=3,
        attempts_used=2,
        delays=1,
        waiting_since=at(1),
        waiting_from=timedelta(seconds=2.5),
        frozen_from=timedelta(seconds=1.5),
        named_by_retry=True,
        offline=True,
        seen_offline=True,
        not_before=at(7.5),
        in_doubt=True,
        observe_at=at(8),
        missing_since=at(7.5),
        dark_since=at(7),
        baseline=Baseline(
            status_at=at(-1.000001),
            update_at=at(-2),
            last_update='"x"',
            recognises_repeats=True,
            busy_elsewhere=True,
        ),
        method=MethodResponse(status=200, payload={"nested": [None, 1.5, "ü"]}),
        firmware_status="failed",
        progress_percent=40,
        error=Reason(code="reported", message="because \U0001f680"),
        skip_reason=SkipReason.DEFERRED,
        running_version="1.5.0",
        previous_version="1.0.0",
        dispatched_at=at(1),
        accepted_at=at(2),
        soak_until=at(9),
        ended_at=at(3),
        explanation="Because.",
        history=(
            HistoryEntry(state=DeviceState.QUEUED, attempt=1, at=at(0.123456), message="new"),
        ),
    )


def full_rollout(rollout_id: str) -> Rollout:
    return Rollout(
        id=rollout_id,
        definition=Definition(
            firmware=Firmware(
                version="2",
                package_uri="https://x.example/2",
                sha256="ab" * 32,
                size_bytes=2**40,
                manifest="e30.e30.c2ln",
                reported_as=("2.0",),
            ),
            target=Target(condition="tags.site = 'berlin'", joiners=True),
            strategy=FULL_STRATEGY,
            labels={"build": "12'34", "Ümlaut": "\u2028"},
            created_at=at(0),
            created_by=Identity(kind=IdentityKind.PRINCIPAL, id="o-1", name="ada", app_id="a-1"),
            start_at=at(1),
            rollback_of="r",
            earlier_links=("https://x.example/2?sig=old",),
            earlier_firmware=(
                Firmware(version="1.9.0", package_uri="https://x.example/1"),
                Firmware(version="1.9.0", package_uri="https://x.example/another"),
            ),
        ),
        status=RolloutStatus.PAUSED,
        status_reason=Reason(code="failureGate", message="3 of 20"),
        stops=(
            Stop(reason=Reason(code="paused", message="by ada"), revision=6),
            Stop(
                reason=Reason(code="failureGate", message="3 of 20"),
                revision=8,
                wave=0,
                shown=(ShownFailures(revision=8, failed=2, ended=False, mark=Mark(2, 0, 2)),),
            ),
            Stop(reason=Reason(code="failureGate", message="2 of 2"), revision=9, stratum=1),
        ),
        started_at=at(2),
        ended_at=at(3),
        waves=(
            Wave(
                name="canary",
                first=0,
                size=3,
                approval=True,
                approved=True,
                status=WaveStatus.FAILED,
                counts=Counts(queued=1, failed=2),
                leased=2,
                already_running=1,
                acknowledged_failed=1,
                sequence=GateSequence(
                    started=9, first=3, carried=1, in_flight=2, failed=(4, 0), released=1 << 7
                ),
                error_divisor=5,
                not_started=1,
                acknowledged_not_started=1,
                acknowledged_at=at(2),
                passed=True,
                started_at=at(2),
                ended_at=at(3),
                strata=(
                    WaveStratum(counts=Counts(queued=1)),
                    WaveStratum(
                        counts=Counts(failed=2),
                        already_running=1,
                        not_started=2,
                        acknowledged_failed=3,
                        acknowledged_not_started=4,
                        failed=(4, 7),
                    ),
                ),
            ),
        ),
        strata=("model-a", "(none)"),
        stratum_gates=(
            StratumGate(),
            StratumGate(
                sequence=GateSequence(started=2, failed=(1, 2)),
                acknowledged_at=at(2),
                frozen=FrozenStratum(
                    reason=Reason(code="failureGate", message="2 of 2"),
                    at=at(3),
                    revision=8,
                    shown=(ShownFailures(revision=8, failed=2, ended=False, mark=Mark(2, 0, 2)),),
                    is_cancelled=True,
                    rollback=RollbackDue("r-2"),
                ),
            ),
        ),
        block_summaries=(BlockSummary(at(4), 3), BlockSummary(None, 0)),
        dispatch=Dispatch(
            ready={1: DeviceSet.of([0, 99])},
            repeats={0: DeviceSet.of([2])},
            frozen={1: DeviceSet.of([3])},
            leases=(
                Lease(number=4, block=0, devices=DeviceSet.of([0, 2]), until=at(60), repeat=True),
            ),
            freeze_matches=(
                FreezeMatches(
                    block=1, devices=DeviceSet.of([3, 98]), revision=2, until=at(90), repeat=True
                ),
            ),
            lease_count=5,
        ),
        measured=Measurements(
            hub_load=HubLoad(methods=3, throttled=1, seconds=0.5, starts=2, queries=4),
            finished=6,
            finish_seconds=61.5,
            invoked=((400, 398),),
            first_invoked=((40, 39),),
        ),
        audit=AuditTrail(
            events=(Event(at=at(1), action="paused", by="ada", message="why"),), event_count=1
        ),
        start_clock=StartClock(counted=timedelta(seconds=7.5), at=at(9)),
        joining=Joining(
            joined=3,
            found=(TargetDevice("late", "m/1"), TargetDevice("später")),
            cursor="c",
            began_at=at(7),
            checked_at=at(5),
            due_at=at(8),
        ),
        revision=9,
        outages=(
            Outage(
                code=AMBIENT,
                message="12 of 14",
                since=at(23),
                until=at(24),
                stratum=1,
                checked_at=at(24),
            ),
        ),
        outage_unchecked=True,
        failures=(
            FailureCount(ErrorCode.REPORTED, 2, "d-1"),
            FailureCount(ErrorCode.WENT_DARK, 1, None),
        ),
        gate_history=(
            GateStep(at=at(21), wave=0, stratum=None, ratio=2.302585092994046),
            GateStep(at=at(22), wave=None, stratum=0, ratio=0.0),
        ),
        soak_revision=4,
        timeout_revision=5,
        resolution=TargetResolution(parts=2, devices=7, cursor="c", gathered=True, written=1),
        needs_fresh_twins=True,
        freeze=Freeze(
            revision=2,
            reason="incident",
            by="ada",
            since=at(20),
            until=at(80),
            condition="tags.site = 'berlin'",
            ended_at=at(70),
            ended_by="bob",
            ended_reason="found it",
        ),
        later=LaterRollouts(ids=("98233499999999-0123456789ab",), checked=False),
        rollback=RolledBack("s"),
        retry=PendingRetry(
            states=frozenset({RetryState.FAILED, RetryState.SKIPPED}),
            devices={1: DeviceSet.of([0, 99])},
            next_block=1,
        ),
    )


def rollout_with(*device_ids: str, seconds: float = 0) -> tuple[Rollout, list[Block]]:
    """Build a running rollout of these devices, and their blocks."""
    count = len(device_ids)
    rollout = Rollout(
        id=new_rollout_id(at(seconds)),
        definition=Definition(
            firmware=Firmware(version="2", package_uri="https://x.example/2"),
            target=Target(),
            strategy=Strategy(),
            labels={},
            created_at=at(seconds),
        ),
        status=RolloutStatus.RUNNING,
        waves=(Wave(name="all", first=0, size=count, counts=Counts(queued=count)),),
        block_summaries=untouched_summaries(blocks_for(count)),
    )
    updates = [make_update(device_id) for device_id in device_ids]
    blocks = [
        Block(number, tuple(updates[number * BLOCK_SIZE : (number + 1) * BLOCK_SIZE]))
        for number in range(blocks_for(count))
    ]
    return rollout, blocks


def end(rollout: Rollout, status: RolloutStatus = RolloutStatus.COMPLETED) -> Rollout:
    return replace(rollout, status=status, ended_at=at(100))


def add_rollout(stores: Stores, *device_ids: str, seconds: float = 0) -> Snapshot:
    rollout, blocks = rollout_with(*device_ids, seconds=seconds)
    block_numbers = {update.device_id: block.number for block in blocks for update in block.updates}
    stores.targets.save_history(rollout.id, block_numbers)
    return stores.rollouts.add(rollout, blocks)


def read(stores: Stores, rollout_id: str) -> Snapshot:
    found = stores.rollouts.get(rollout_id)
    assert found is not None
    return stores.rollouts.get_blocks(found, range(len(found.rollout.block_summaries)))


def with_first_state(snapshot: Snapshot, number: int, state: DeviceState) -> Block:
    """Return the block with its first device in another state."""
    first, *others = snapshot.blocks[number].updates
    return Block(number, (first._replace(state=state), *others))
