"""Twin writes of services and devices: versions, ETags and notifications."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from simulator.hub.model.connections import Subscription
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Json
from simulator.hub.model.twin import twin_document, twin_etag
from simulator.hub.model.twins import TwinWrite, read_twin_write
from tests.simulator.hub.builders import RecordingLink, connect, make_device, make_hub
from tests.simulator.hub.test_twin_document import PATCHES, merged_by_rfc


def listening_hub() -> tuple[Hub, RecordingLink]:
    hub = make_hub()
    make_device(hub)
    return hub, connect(hub, "one", Subscription.DESIRED_CHANGES)


def desired(value: Json) -> TwinWrite:
    return read_twin_write({"properties": {"desired": value}})


class TwinAgainstModel(RuleBasedStateMachine):
    """Random writes from both sides; counters and RFC 7396 give the expected result."""

    def __init__(self) -> None:
        super().__init__()
        self.hub, self.link = listening_hub()
        self.tags: Any = {}
        self.desired: Any = {}
        self.reported: Any = {}
        self.desired_version = self.reported_version = 1
        self.etags: list[str] = [self.etag]

    @property
    def etag(self) -> str:
        return twin_etag(self.hub.twins.get("one").twin.etag)

    @rule(patch=PATCHES)
    def patch_tags(self, patch: Any) -> None:
        self.hub.twins.patch("one", read_twin_write({"tags": patch}), self.etag)
        self.tags = merged_by_rfc(self.tags, patch)
        self.etags.append(self.etag)

    @rule(patch=PATCHES)
    def patch_desired(self, patch: Any) -> None:
        self.hub.twins.patch("one", desired(patch), None)
        self.desired = merged_by_rfc(self.desired, patch)
        self.desired_version += 1
        self.etags.append(self.etag)
        assert self.link.desired[-1] == (patch, self.desired_version)

    @rule(whole=PATCHES)
    def replace_desired(self, whole: Any) -> None:
        gone = dict.fromkeys(self.desired)
        self.hub.twins.replace("one", desired(whole), "*")
        self.desired = merged_by_rfc({}, whole)
        self.desired_version += 1
        self.etags.append(self.etag)
        assert self.link.desired[-1] == (gone | whole, self.desired_version)

    @rule()
    def clear_desired(self) -> None:
        self.hub.twins.patch("one", desired(None), None)
        self.desired_version += 1
        self.etags.append(self.etag)
        assert self.link.desired[-1] == (dict.fromkeys(self.desired), self.desired_version)
        self.desired = {}

    @rule(patch=PATCHES)
    def report(self, patch: Any) -> None:
        version = self.hub.twins.report("one", patch)
        self.reported = merged_by_rfc(self.reported, patch)
        self.reported_version += 1
        assert version == self.reported_version

    @rule(bad=st.sampled_from([{"a.b": 1}, {"a": [None]}, {"a": "x" * 5000}, "text", [1]]))
    def refused_writes_change_nothing(self, bad: Any) -> None:
        before = self.hub.twins.get("one")
        with pytest.raises(HubError):
            self.hub.twins.report("one", bad)
        with pytest.raises(HubError):
            self.hub.twins.patch("one", desired(bad), None)
        with pytest.raises(HubError):
            self.hub.twins.patch("one", desired({}), self.etags[-2] if self.stale else "x")
        assert self.hub.twins.get("one") is before

    @property
    def stale(self) -> bool:
        return len(self.etags) > 1

    @invariant()
    def the_twin_is_as_expected(self) -> None:
        entry = self.hub.twins.get("one")
        document = twin_document(entry.device, entry.twin)
        assert document.get("tags", {}) == self.tags
        assert self.hub.twins.device_view("one") == {
            "desired": self.desired | {"$version": self.desired_version},
            "reported": self.reported | {"$version": self.reported_version},
        }

    @invariant()
    def every_write_of_the_service_made_a_new_etag(self) -> None:
        assert len(set(self.etags)) == len(self.etags)


TestTwinAgainstModel = TwinAgainstModel.TestCase
TestTwinAgainstModel.settings = settings(max_examples=50, stateful_step_count=15, deadline=None)


def test_reading_is_not_writing() -> None:
    hub, _link = listening_hub()
    assert hub.twins.get("one") is hub.twins.get("one")


def test_fields_that_a_caller_cannot_write_are_ignored() -> None:
    body: Json = {
        "deviceId": "other",
        "version": 99,
        "properties": {"reported": {"a": 1}, "desired": {"$version": 9, "$metadata": {}}},
    }
    assert read_twin_write(body) == TwinWrite(has_desired=True, desired={})


def test_connecting_and_disconnecting_leave_the_etag_alone() -> None:
    hub, link = listening_hub()
    before = hub.twins.get("one").twin.etag
    hub.connections.detach("one", link)
    entry = hub.twins.get("one")
    assert entry.twin.etag == before
    assert entry.device.connection_state == "Disconnected"


def test_a_device_that_has_not_subscribed_is_not_notified() -> None:
    hub = make_hub()
    make_device(hub)
    link = connect(hub, "one", Subscription.TWIN_RESPONSES)
    hub.twins.patch("one", desired({"a": 1}), None)
    assert link.desired == []


@pytest.mark.parametrize(
    ("section", "limit"), [("tags", 8 * 1024), ("desired", 32 * 1024), ("reported", 32 * 1024)]
)
def test_a_section_may_grow_to_its_limit_and_no_further(section: str, limit: int) -> None:
    hub, _link = listening_hub()
    full = {f"k{number:03}": "x" * 1020 for number in range(limit // 1024)}

    def write(patch: Any) -> None:
        if section == "reported":
            hub.twins.report("one", patch)
        else:
            body: Any = {"tags": patch} if section == "tags" else {"properties": {"desired": patch}}
            hub.twins.patch("one", read_twin_write(body), None)

    write(full)
    with pytest.raises(HubError) as caught:
        write({"k": 1})
    assert caught.value.code is ErrorCode.ARGUMENT_INVALID
