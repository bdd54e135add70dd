"""Test that rows and queue messages are written and read as recorded.

After an intended change: `python -m tests.functions.rollout_store.test_stored_format` records the
rows that are written now. Rows named `earlier...` were written before the first release and stay.

`releases/` has the rows and messages of each release. They are read for ever: with `--release`, the
command adds those of this release, once, right before it is published.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from functions import version
from functions.dispatch_queue import messages
from functions.dispatch_queue.port import Batch, Delivery
from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollout_store.ports.idempotency_keys import KeyUse
from functions.rollout_store.table_storage import (
    block_rows,
    budget,
    device_locks,
    firmware_catalogue,
    freezes,
    history_rows,
    idempotency_keys,
    list_rows,
    quarantine,
    rollout_json,
    rollout_rows,
    table,
    targets,
    webhooks,
)
from functions.rollouts.model import identity
from functions.rollouts.model.block import Block
from functions.rollouts.model.catalogue_entry import CatalogueEntry
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.gate_sequence import NO_SEQUENCE, GateSequence
from functions.rollouts.model.joining import NO_JOINING
from functions.rollouts.model.later_rollouts import NO_LATER_ROLLOUTS
from functions.rollouts.model.quarantine import FailureRecord
from functions.rollouts.model.quotas import Budget
from functions.rollouts.model.rollout import Rollout, StartClock
from functions.rollouts.model.stop import Stop
from functions.rollouts.model.strategy import Strategy, WhenAlreadyRunning, percent
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.wave import Wave
from functions.rollouts.model.webhook import (
    DeliveryPosition,
    Disabled,
    Failing,
    Webhook,
    WebhookFormat,
)
from tests.functions.builders import at
from tests.functions.rollout_store.any_record import rollouts
from tests.functions.rollout_store.records import full_rollout, full_update, rollout_with

FILE = Path(__file__).with_name("stored_rows.json")
RELEASES = Path(__file__).with_name("releases")
STORED: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
ROLLOUT_ID = "98233500000000-0123456789ab"
FULL = full_rollout(ROLLOUT_ID)
WITH_DEFAULTS = replace(rollout_with("d-1", "d-2")[0], id=ROLLOUT_ID)


def _stops_of_earlier(rollout: Rollout) -> tuple[Stop, ...]:
    reason = rollout.status_reason
    return (Stop(reason=reason, revision=rollout.revision),) if reason else ()


def as_earlier(rollout: Rollout) -> Rollout:
    """Return a rollout as a release without the later fields stored it."""
    definition = rollout.definition
    firmware = replace(definition.firmware, reported_as=())
    strategy = replace(
        definition.strategy,
        verify_version=False,
        when_already_running=WhenAlreadyRunning.REINSTALL,
        max_not_started=percent(10),
    )
    return replace(
        rollout,
        definition=replace(
            definition,
            firmware=firmware,
            target=replace(definition.target, joiners=False),
            strategy=strategy,
            created_by=identity.named(definition.created_by.name),
            earlier_firmware=definition.earlier_firmware[:1],
            earlier_links=(),
        ),
        waves=tuple(map(_wave_of_earlier, rollout.waves)),
        strata=(),
        stratum_gates=(),
        dispatch=replace(rollout.dispatch, frozen={}, freeze_matches=()),
        stops=_stops_of_earlier(rollout),
        retry=None,
        needs_fresh_twins=False,
        later=NO_LATER_ROLLOUTS,
        freeze=None,
        joining=NO_JOINING,
        failures=None if any(wave.counts.failed for wave in rollout.waves) else (),
        gate_history=(),
        outages=(),
        outage_unchecked=False,
        start_clock=StartClock(),
        soak_revision=0,
        timeout_revision=0,
        measured=replace(rollout.measured, invoked=(), first_invoked=()),
    )


def _wave_of_earlier(wave: Wave) -> Wave:
    """One failure was not acknowledged; its position is behind all that had finished."""
    return replace(
        wave,
        already_running=0,
        acknowledged_at=None,
        error_divisor=None,
        not_started=0,
        acknowledged_not_started=0,
        strata=(),
        sequence=GateSequence(started=1, failed=(1,)) if wave.counts.failed else NO_SEQUENCE,
    )


def as_of_1_0_0(rollout: Rollout) -> Rollout:
    """Return a rollout as 1.0.0 stored it: without these counts, and why a freeze ended."""
    freeze = rollout.freeze and freeze_as_of_1_0_0(rollout.freeze)
    measured = replace(rollout.measured, invoked=(), first_invoked=())
    return replace(rollout, measured=measured, freeze=freeze)


def freeze_as_of_1_0_0(freeze: Freeze) -> Freeze:
    return replace(freeze, ended_reason=None)


# The default success share was 100% then, and was stored.
EARLIER_DEFAULTS = replace(
    WITH_DEFAULTS,
    definition=replace(WITH_DEFAULTS.definition, strategy=Strategy(success_share=percent(100))),
)
BLOCK = Block(3, (full_update("d-1"), full_update("d-2")))
# Fields of a device update that were added after the first recording.
ADDED_TO_UPDATES: Mapping[str, Any] = {
    "missing_since": None,
    "package": 0,
    "stratum": None,
    "stratum_rank": None,
    "skip_reason": None,
    "running_version": None,
    "dark_since": None,
    "waiting_from": None,
    "frozen_from": None,
    "named_by_retry": False,
    "start_rank": None,
    "has_accepted": False,
}
EARLIER_BLOCK = Block(3, tuple(item._replace(**ADDED_TO_UPDATES) for item in BLOCK.updates))
TARGET = [TargetDevice("d-1", "a"), TargetDevice("d-2")]
BUDGET = Budget(at=at(1), starts=1.5, twin_reads=2.5, queries=3.5, factor=0.5, messages_spent=7.0)
FAILURES = FailureRecord(device_id="d-1", failed_at={ROLLOUT_ID: at(1)}, until=at(2))
FREEZE = FULL.freeze or Freeze(revision=1, reason="r", by="b", since=at(1))
LOCK = DeviceLock(rollout_id=ROLLOUT_ID, taken_at=at(1))
KEY_USE = KeyUse(rollout_id=ROLLOUT_ID, body_hash="ab", used_at=at(1))
WEBHOOK = Webhook(
    name="ops",
    url="https://hooks.example/a",
    format=WebhookFormat.CLOUD_EVENTS,
    actions=("paused",),
    secret=b"s" * 32,
    earlier_secret=b"e" * 32,
    earlier_until=at(3),
    private_key=b"k" * 32,
    created_at=at(1),
    changed_at=at(2),
    disabled=Disabled(at=at(5), reason="gone"),
    failing=Failing(since=at(3), at=at(4), event_id="e", detail="status 500"),
)
POSITION = DeliveryPosition(
    created_at=at(1),
    next_event=7,
    busy_until=at(2),
    failures=3,
    failing_since=at(3),
    retry_at=at(4),
)
CATALOGUE_ENTRY = CatalogueEntry(
    firmware=FULL.firmware,
    notes="From the factory.",
    registered=True,
    used=False,
    revision=3,
    created_at=at(1),
    created_by=identity.Identity(kind=identity.IdentityKind.PRINCIPAL, name="ada", id="1"),
    changed_at=at(2),
    changed_by=identity.API,
)
DELIVERY = Delivery(ROLLOUT_ID, "ops")
LARGE = {f"d-{number}": 0 for number in range(history_rows.MAX_SMALL_DEVICES + 1)}
LARGE_ROW = history_rows.history_to_rows(ROLLOUT_ID, LARGE)[0][0]
LARGE_IN_ROW = history_rows.read_block_numbers(LARGE_ROW)
BATCH = Batch(ROLLOUT_ID, 4, 0, DeviceSet.of([0, 2]))

ROWS: Mapping[str, Any] = {
    "rollout": rollout_rows.rollout_to_row(FULL),
    "rolloutWithDefaults": rollout_rows.rollout_to_row(WITH_DEFAULTS),
    "listEntry": list_rows.list_entry_to_row(FULL),
    "block": block_rows.block_to_row(ROLLOUT_ID, BLOCK),
    "events": rollout_rows.events_to_row(ROLLOUT_ID, 7, FULL.audit.events),
    "target": targets.target_to_row(ROLLOUT_ID, 2, TARGET),
    "history": history_rows.history_to_rows(ROLLOUT_ID, {"d-1": 0})[0][0],
    "historyOfDevice": history_rows.history_to_rows(ROLLOUT_ID, {"d/1": 3})[0][1],
    "largeHistory": LARGE_ROW,
    "firmware": firmware_catalogue.firmware_to_row(FULL.firmware),
    "catalogueEntry": firmware_catalogue.entry_to_row(CATALOGUE_ENTRY),
    "budget": budget.budget_to_row(BUDGET),
    "freeze": freezes.freeze_to_row(FREEZE),
    "failures": quarantine.failures_to_row(FAILURES),
    "deviceLock": device_locks.device_lock_to_row("d-1", LOCK),
    "idempotencyKey": idempotency_keys.key_use_to_row("k-1", KEY_USE),
    "webhook": webhooks.webhook_to_row(WEBHOOK),
    "deliveryPosition": webhooks.position_to_row(ROLLOUT_ID, "ops", POSITION),
}
WRITTEN: Mapping[str, Any] = {
    **{name: table.stamp(row) for name, row in ROWS.items()},
    "deliveryMessage": json.loads(messages.delivery_to_text(DELIVERY)),
    "queueMessage": json.loads(messages.to_text(BATCH)),
}
READ: Mapping[str, tuple[Callable[[Any], Any], Any]] = {
    "rollout": (rollout_rows.rollout_from_row, FULL),
    "rolloutWithDefaults": (rollout_rows.rollout_from_row, WITH_DEFAULTS),
    # Written before decision 0047: the strategy has a form of its own.
    "earlierRollout": (rollout_rows.rollout_from_row, as_earlier(FULL)),
    "earlierRolloutWithDefaults": (rollout_rows.rollout_from_row, as_earlier(EARLIER_DEFAULTS)),
    "block": (lambda row: block_rows.block_from_row(3, row), BLOCK),
    "earlierBlock": (lambda row: block_rows.block_from_row(3, row), EARLIER_BLOCK),
    "events": (lambda row: rollout_json.events_from_text(row["events0"]), FULL.audit.events),
    "target": (targets.target_from_row, TARGET),
    "history": (lambda row: history_rows.find_block_numbers(row, ["d-1"]), {"d-1": 0}),
    "historyOfDevice": (lambda row: (row["rolloutId"], row["block"]), (ROLLOUT_ID, 3)),
    "largeHistory": (lambda row: history_rows.find_block_numbers(row, LARGE), LARGE_IN_ROW),
    # Earlier releases stored it so; other names of a version still are.
    "firmware": (firmware_catalogue.entry_from_row, CatalogueEntry(firmware=FULL.firmware)),
    "catalogueEntry": (firmware_catalogue.entry_from_row, CATALOGUE_ENTRY),
    "budget": (budget.budget_from_row, BUDGET),
    "failures": (quarantine.failures_from_row, FAILURES),
    "freeze": (freezes.freeze_from_row, FREEZE),
    "deviceLock": (device_locks.device_lock_from_row, LOCK),
    "idempotencyKey": (idempotency_keys.key_use_from_row, KEY_USE),
    "webhook": (webhooks.webhook_from_row, WEBHOOK),
    "deliveryPosition": (webhooks.position_from_row, POSITION),
    "deliveryMessage": (
        lambda body: messages.delivery_from_bytes(json.dumps(body).encode()),
        DELIVERY,
    ),
    "queueMessage": (lambda body: messages.from_bytes(json.dumps(body).encode()), BATCH),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_row_is_written_as_recorded(name: str) -> None:
    assert json.loads(json.dumps(WRITTEN[name])) == STORED[name]


@pytest.mark.parametrize("name", READ)
def test_a_recorded_row_is_read_as_its_record(name: str) -> None:
    from_row, record = READ[name]
    assert from_row(STORED[name]) == record


# What fields that are newer than a release are read as from its rows, by release and by the name of
# the row: a function as `as_earlier`. Releases that lack no field are missing.
AS_OF: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "1.0.0": {"rollout": as_of_1_0_0, "freeze": freeze_as_of_1_0_0},
}
OF_RELEASES = [
    (file.stem, name, row)
    for file in sorted(RELEASES.glob("*.json"))
    for name, row in json.loads(file.read_text(encoding="utf-8")).items()
]


@pytest.mark.parametrize(("release", "name", "row"), OF_RELEASES)
def test_what_a_release_stored_is_read_as_its_record(release: str, name: str, row: Any) -> None:
    table.check_row(row)
    if name not in READ:
        assert name == "listEntry"  # its columns are read in queries
        return
    from_row, record = READ[name]
    assert from_row(row) == AS_OF.get(release, {}).get(name, lambda same: same)(record)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_stored_has_the_number_of_this_format(name: str) -> None:
    assert WRITTEN[name][version.SCHEMA] == version.SCHEMA_VERSION


@given(rollouts)
def test_the_recorded_rollout_has_every_column(other: Rollout) -> None:
    """A column that is not recorded could be added without another number of the format."""
    columns = (_without_parts(rollout_rows.rollout_to_row(item)) for item in (other, FULL))
    assert next(columns) <= next(columns)


def _without_parts(row: table.Row) -> set[str]:
    return {name.rstrip("0123456789") for name in row}


def test_a_release_that_stores_other_fields_than_the_one_before_has_another_number() -> None:
    """An earlier release must know from the number that it would drop fields."""
    latest = max(RELEASES.glob("*.json"), key=lambda file: list(map(int, file.stem.split("."))))
    before = json.loads(latest.read_text(encoding="utf-8"))
    is_same = all(set(row) == set(before.get(name, ())) for name, row in WRITTEN.items())
    number = before["rollout"][version.SCHEMA]
    assert is_same or number < version.SCHEMA_VERSION, (
        f"Fields were added or removed since release {latest.stem}: raise SCHEMA_VERSION."
    )


def record(arguments: list[str]) -> None:
    """Record the rows that are written now; with `--release`, keep them for ever too."""
    _save(FILE, {**STORED, **WRITTEN})
    if arguments == ["--release"]:
        _save(RELEASES / f"{version.APP_VERSION}.json", WRITTEN)


def _save(file: Path, rows: Mapping[str, Any]) -> None:
    text = json.dumps(rows, indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    record(sys.argv[1:])
