"""Generate any record, for properties of stored rows."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from functions.rollouts.model.audit_trail import AuditTrail, Event
from functions.rollouts.model.block import BlockSummary
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import DeviceState, ErrorCode, SkipReason
from functions.rollouts.model.device_twin import Baseline
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.dispatch import Dispatch, Lease
from functions.rollouts.model.failure_count import FailureCount
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.gate_history import GateStep
from functions.rollouts.model.gate_sequence import GateSequence, Mark
from functions.rollouts.model.identity import Identity, IdentityKind
from functions.rollouts.model.joining import Joining
from functions.rollouts.model.later_rollouts import LaterRollouts
from functions.rollouts.model.measurements import HubLoad, Measurements
from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.outage import Outage
from functions.rollouts.model.pending_retry import PendingRetry, RetryState
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Definition, Rollout, RolloutStatus, StartClock
from functions.rollouts.model.stop import ShownFailures, Stop
from functions.rollouts.model.stratum import FrozenStratum, StratumGate
from functions.rollouts.model.target import Target, TargetDevice, TargetResolution
from functions.rollouts.model.wave import Counts, Wave, WaveStatus, WaveStratum
from tests.functions.any_strategy import strategies

# Only high surrogates: JSON reads a high and a low one as one character.
texts = st.text(
    st.characters(max_codepoint=0xDBFF) | st.characters(min_codepoint=0xE000), max_size=40
) | (st.text("\U0001f680界\ud83d\"\\\x00'", max_size=20))
times = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - the zone is in `timezones`
    datetime(2080, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
# Due times are stored with milliseconds.
whole_times = times.map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000))
counts = st.integers(0, 2**31 - 1)
reasons = st.builds(Reason, code=texts, message=texts)
all_shown = st.lists(
    st.builds(
        ShownFailures,
        revision=counts,
        failed=counts,
        ended=st.booleans(),
        mark=st.builds(Mark, counts, counts, counts),
    ),
    max_size=3,
).map(tuple)
stops = st.builds(
    Stop,
    reason=reasons,
    revision=counts,
    wave=st.none() | counts,
    shown=all_shown,
    stratum=st.none() | counts,
)
sequences = st.builds(
    GateSequence,
    started=counts,
    first=counts,
    carried=counts,
    in_flight=counts,
    failed=st.lists(counts, max_size=3).map(tuple),
    released=st.integers(0, 2**300),
)
stratum_gates = st.builds(
    StratumGate,
    sequence=sequences,
    acknowledged_at=st.none() | times,
    frozen=st.none()
    | st.builds(
        FrozenStratum,
        reason=reasons,
        at=times,
        revision=counts,
        shown=all_shown,
        is_cancelled=st.booleans(),
        rollback=st.none() | st.builds(RolledBack, st.text("ab-01", min_size=1)),
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=4,
)
steps = st.builds(
    HistoryEntry, state=st.sampled_from(DeviceState), attempt=counts, at=times, message=texts
)
updates = st.builds(
    DeviceUpdate,
    device_id=st.text("ab-.+%_#*?!(),=@$':", min_size=1, max_size=128),
    wave=counts,
    queued_at=times,
    updated_at=times,
    version=st.none() | texts,
    package=counts,
    stratum=st.none() | counts,
    state=st.sampled_from(DeviceState),
    attempt=counts,
    attempts_used=counts,
    delays=counts,
    waiting_since=st.none() | times,
    waiting_from=st.none() | st.timedeltas(timedelta(), timedelta(days=400)),
    offline=st.booleans(),
    seen_offline=st.booleans(),
    not_before=st.none() | times,
    in_doubt=st.booleans(),
    observe_at=st.none() | times,
    missing_since=st.none() | times,
    dark_since=st.none() | times,
    baseline=st.builds(
        Baseline,
        status_at=st.none() | times,
        update_at=st.none() | times,
        last_update=st.none() | texts,
        recognises_repeats=st.booleans(),
        busy_elsewhere=st.booleans(),
    ),
    method=st.none() | st.builds(MethodResponse, status=counts, payload=json_values),
    firmware_status=st.none() | texts,
    progress_percent=st.none() | st.integers(0, 100),
    error=st.none() | reasons,
    skip_reason=st.none() | st.sampled_from(SkipReason),
    running_version=st.none() | texts,
    previous_version=st.none() | texts,
    dispatched_at=st.none() | times,
    accepted_at=st.none() | times,
    soak_until=st.none() | times,
    ended_at=st.none() | times,
    start_rank=st.none() | counts,
    stratum_rank=st.none() | counts,
    has_accepted=st.booleans(),
    explanation=st.none() | texts,
    history=st.lists(steps, max_size=3).map(tuple),
)
firmwares = st.builds(
    Firmware,
    version=texts,
    package_uri=texts,
    sha256=st.none() | texts,
    size_bytes=st.none() | st.integers(1, 2**53),
    manifest=st.none() | texts,
    reported_as=st.lists(texts, max_size=3).map(tuple),
)
tallies = st.builds(Counts, **dict.fromkeys(Counts.__dataclass_fields__, counts))
waves = st.builds(
    Wave,
    name=texts,
    first=counts,
    size=counts,
    approval=st.booleans(),
    approved=st.booleans(),
    status=st.sampled_from(WaveStatus),
    counts=tallies,
    leased=counts,
    already_running=counts,
    acknowledged_failed=counts,
    sequence=sequences,
    error_divisor=st.none() | counts,
    not_started=counts,
    acknowledged_not_started=counts,
    acknowledged_at=st.none() | times,
    passed=st.booleans(),
    started_at=st.none() | times,
    ended_at=st.none() | times,
    strata=st.lists(
        st.builds(
            WaveStratum,
            counts=tallies,
            already_running=counts,
            not_started=counts,
            acknowledged_failed=counts,
            acknowledged_not_started=counts,
            failed=st.lists(counts, max_size=3).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
)
device_sets = st.integers(0, 2**100 - 1).map(DeviceSet)
rollout_ids = st.from_regex("[0-9]{14}-[0-9a-f]{12}", fullmatch=True)
identities = st.builds(
    Identity,
    kind=st.sampled_from(IdentityKind),
    name=texts,
    id=st.none() | texts,
    app_id=st.none() | texts,
)
definitions = st.builds(
    Definition,
    firmware=firmwares,
    target=st.builds(Target, condition=st.none() | texts, joiners=st.booleans()),
    strategy=strategies,
    labels=st.dictionaries(texts, texts, max_size=4),
    created_at=times,
    created_by=identities,
    start_at=st.none() | times,
    rollback_of=st.none() | texts,
    earlier_links=st.lists(texts, max_size=3).map(tuple),
    earlier_firmware=st.lists(firmwares, max_size=3).map(tuple),
)
leases = st.builds(
    Lease, number=counts, block=counts, devices=device_sets, until=times, repeat=st.booleans()
)
dispatches = st.builds(
    Dispatch,
    ready=st.dictionaries(st.integers(0, 9_999), device_sets, max_size=4),
    repeats=st.dictionaries(st.integers(0, 9_999), device_sets, max_size=4),
    frozen=st.dictionaries(st.integers(0, 9_999), device_sets, max_size=4),
    leases=st.lists(leases, max_size=3).map(tuple),
    lease_count=counts,
)
measurements = st.builds(
    Measurements,
    hub_load=st.builds(
        HubLoad,
        methods=counts,
        throttled=counts,
        seconds=st.floats(0, 10**6),
        starts=counts,
        queries=counts,
        responded=counts,
        failed=counts,
        refused=counts,
        silent=counts,
        example=texts,
    ),
    finished=counts,
    finish_seconds=st.floats(0, 10**9),
    invoked=st.lists(st.tuples(counts, counts), min_size=1, max_size=3).map(tuple),
    first_invoked=st.lists(st.tuples(counts, counts), max_size=3).map(tuple),
)
outages = st.builds(
    Outage,
    code=texts,
    message=texts,
    since=times,
    until=st.none() | times,
    stratum=st.none() | counts,
    checked_at=st.none() | times,
)
audit_trails = st.builds(
    AuditTrail,
    events=st.lists(
        st.builds(Event, at=times, action=texts, by=texts, message=texts), max_size=3
    ).map(tuple),
    event_count=counts,
)
summaries = st.builds(BlockSummary, st.none() | whole_times, counts)
rollouts = st.builds(
    Rollout,
    id=st.just("98233500000000-0123456789ab"),
    definition=definitions,
    status=st.sampled_from(RolloutStatus),
    status_reason=st.none() | reasons,
    stops=st.lists(stops, min_size=1, max_size=3).map(tuple),
    started_at=st.none() | times,
    ended_at=st.none() | times,
    waves=st.lists(waves, max_size=3).map(tuple),
    strata=st.lists(texts, max_size=3).map(tuple),
    stratum_gates=st.lists(stratum_gates, max_size=3).map(tuple),
    block_summaries=st.lists(summaries, max_size=4).map(tuple),
    dispatch=dispatches,
    measured=measurements,
    failures=st.lists(
        st.builds(
            FailureCount,
            code=st.sampled_from(ErrorCode),
            count=counts,
            example=st.none() | texts,
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    gate_history=st.lists(
        st.builds(
            GateStep,
            at=times,
            wave=st.none() | counts,
            stratum=st.none() | counts,
            ratio=st.floats(-1e3, 1e3),
        ),
        max_size=3,
    ).map(tuple),
    outages=st.lists(outages, max_size=3).map(tuple),
    outage_unchecked=st.booleans(),
    audit=audit_trails,
    joining=st.builds(
        Joining,
        joined=counts,
        found=st.lists(st.builds(TargetDevice, texts, texts), max_size=3).map(tuple),
        cursor=st.none() | texts,
        began_at=st.none() | times,
        checked_at=st.none() | times,
        due_at=st.none() | times,
    ),
    start_clock=st.builds(
        StartClock,
        counted=st.timedeltas(timedelta(), timedelta(days=400)),
        at=st.none() | times,
    ),
    revision=counts,
    soak_revision=counts,
    timeout_revision=counts,
    resolution=st.none()
    | st.builds(
        TargetResolution,
        parts=counts,
        listed_parts=counts,
        devices=counts,
        cursor=st.none() | texts,
        queried_devices=counts,
        gathered=st.booleans(),
        written=counts,
    ),
    needs_fresh_twins=st.booleans(),
    later=st.builds(LaterRollouts, ids=st.tuples(texts, texts), checked=st.booleans()),
    rollback=st.none()
    | st.builds(RollbackDue, st.none() | rollout_ids)
    | st.builds(RolledBack, rollout_ids),
    retry=st.none()
    | st.builds(
        PendingRetry,
        states=st.frozensets(st.sampled_from(RetryState), min_size=1),
        devices=st.none() | st.dictionaries(st.integers(0, 9_999), device_sets, max_size=4),
        next_block=counts,
    ),
)
