"""Test the invariants of the firmware stages for any order of events."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from device_agent.dialect import CONTRACT, TUTORIAL
from device_agent.stages import Report
from device_agent.update import FirmwareStatus, UpdateError
from simulator.simulated_device.simulated_updates import (
    SimulatedUpdates,
    StageFailure,
    UpdateSettings,
)

ORDER = ["downloading", "applying", "completed"]
FAILURES = st.none() | st.builds(
    StageFailure,
    stage=st.sampled_from([FirmwareStatus.DOWNLOADING, FirmwareStatus.APPLYING]),
    error=st.just(UpdateError(code="broken", message="")),
)


class AnyInterleaving(RuleBasedStateMachine):
    """Method calls, time and restarts in any order; the twin is a merge of all patches."""

    @initialize(
        failure=FAILURES,
        dialect=st.sampled_from([CONTRACT, TUTORIAL]),
        delay=st.integers(min_value=0, max_value=20),
    )
    def switch_on(self, failure: StageFailure | None, dialect: Any, delay: int) -> None:
        self.update_settings = UpdateSettings(
            failure=failure, dialect=dialect, stage_delay=timedelta(seconds=delay)
        )
        self.now = datetime(2026, 12, 1, tzinfo=UTC)
        self.twin: dict[str, Any] = {}
        self.run: list[str] = []
        self.restart()

    @rule()
    def restart(self) -> None:
        self.stages = SimulatedUpdates(self.update_settings)
        self.keep(self.stages.start(self.twin, self.now))
        self.run = []
        # After a restart a device knows what the twin tells of: its latest reported update.
        latest = self.twin.get("firmwareUpdate", {})
        self.known = {(latest.get("rolloutId"), latest.get("attempt"))}

    @rule(rollout_id=st.sampled_from(["r1", "r2", None]), attempt=st.integers(1, 3))
    def invoke(self, rollout_id: str | None, attempt: int) -> None:
        fields: dict[str, Any] = {"fwPackageUri": "test.com"}
        if rollout_id:
            fields |= {"rolloutId": rollout_id, "attempt": attempt}
        under_way, due = self.stages.due is not None, self.stages.due
        response = self.stages.invoke("firmwareUpdate", fields, self.now)
        begun = not under_way and self.stages.due is not None
        assert response.status in (200, 409)
        if under_way:
            assert self.stages.due == due, "a call changed the update under way"
        if begun:
            self.run = []
            if rollout_id and self.update_settings.dialect is CONTRACT:
                assert (rollout_id, attempt) not in self.known, "an attempt ran twice"
                self.known.add((rollout_id, attempt))

    @rule(seconds=st.integers(min_value=0, max_value=30))
    def let_time_pass(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        report = self.stages.advance(self.now)
        if report is not None:
            self.keep(report)
            self.run.append(report.status)

    @invariant()
    def an_update_only_moves_forward(self) -> None:
        ended = self.run[-1:] == ["failed"]
        forward = self.run[:-1] if ended else self.run
        assert forward == ORDER[: len(forward)]

    @invariant()
    def an_update_ends_when_nothing_is_due(self) -> None:
        if self.run:
            ended = self.run[-1] in ("completed", "failed")
            assert ended == (self.stages.due is None)

    def teardown(self) -> None:
        if not hasattr(self, "stages"):
            return
        for _ in range(3):
            if self.stages.due is None:
                break
            self.let_time_pass(60)
        assert self.stages.due is None, "an update did not end after three delays"
        super().teardown()

    def keep(self, report: Report) -> None:
        for name, value in report.patch.items():
            self.twin[name] = merged(self.twin.get(name), value)


def merged(kept: Any, value: Any) -> Any:
    """Return a property after a merge patch: objects merge, null removes a field."""
    if not isinstance(value, dict):
        return value
    both = (kept if isinstance(kept, dict) else {}) | value
    return {name: item for name, item in both.items() if item is not None}


TestAnyInterleaving = AnyInterleaving.TestCase
