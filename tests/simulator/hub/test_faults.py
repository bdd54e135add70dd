"""Fault plans: which fault strikes which device, and its effect on connections and operations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.hub.model.connections import Subscription
from simulator.hub.model.errors import ErrorCode, HubError
from simulator.hub.model.faults import Action, Fault, FaultPlan, Faults
from simulator.hub.model.hub import Hub
from simulator.hub.model.json_types import Json
from simulator.hub.model.metering import Operation
from simulator.hub.rest.fault_bodies import faults_document, read_fault_plan
from tests.simulator.hub.builders import connect, make_device, make_hub

METHOD = Operation.METHOD


def plan(*faults: Fault, seed: int = 0) -> FaultPlan:
    return FaultPlan(faults=faults, seed=seed)


def in_force(*faults: Fault, seed: int = 0) -> Faults:
    made = Faults()
    made.put(plan(*faults, seed=seed))
    return made


def test_a_fault_cannot_name_a_jobs_part() -> None:
    with pytest.raises(HubError):
        read_fault_plan({"faults": [{"action": "error", "operations": ["jobDevice"]}]})


class TestDeciding:
    def test_without_a_plan_faults_are_not_active(self) -> None:
        faults = Faults()
        assert not faults.active
        faults.put(plan(Fault(action=Action.DELAY)))
        assert faults.active
        faults.put(FaultPlan())
        assert not faults.active

    @pytest.mark.parametrize(
        ("pattern", "device_id", "hit"),
        [("*", "x", True), ("a-?", "a-1", True), ("a-?", "a-10", False), ("a", "A", False)],
    )
    def test_devices_are_named_by_patterns(self, pattern: str, device_id: str, hit: bool) -> None:
        faults = in_force(Fault(action=Action.DELAY, devices=("none", pattern)))
        assert (faults.strike(Action.DELAY, METHOD, device_id) is not None) is hit

    def test_a_fault_strikes_named_operations_only(self) -> None:
        faults = in_force(Fault(action=Action.ERROR, operations=frozenset({METHOD})))
        assert faults.strike(Action.ERROR, Operation.QUERY, "x") is None
        assert faults.strike(Action.ERROR, METHOD, "x") is not None
        assert faults.strike(Action.DELAY, METHOD, "x") is None

    def test_a_fault_strikes_at_most_count_times(self) -> None:
        faults = in_force(Fault(action=Action.ERROR, count=2))
        struck = [faults.strike(Action.ERROR, METHOD, "x") is not None for _ in range(5)]
        assert struck == [True, True, False, False, False]
        assert faults.struck == [2]

    @given(st.floats(0, 1), st.integers(0, 2**32))
    def test_a_share_is_the_same_again_with_the_same_seed(self, share: float, seed: int) -> None:
        def strikes() -> list[bool]:
            faults = in_force(Fault(action=Action.ERROR, share=share), seed=seed)
            return [faults.strike(Action.ERROR, METHOD, "x") is not None for _ in range(20)]

        assert strikes() == strikes()

    def test_a_share_strikes_about_that_share_of_occasions(self) -> None:
        faults = in_force(Fault(action=Action.ERROR, share=0.1), seed=3)
        struck = sum(faults.strike(Action.ERROR, METHOD, "x") is not None for _ in range(2000))
        assert 140 < struck < 260
        held = in_force(Fault(action=Action.BLACK_HOLE, share=0.1), seed=3)
        chosen = [f"d{number}" for number in range(2000)]
        first = [device for device in chosen if held.is_in_force(Action.BLACK_HOLE, device)]
        assert 140 < len(first) < 260
        assert first == [device for device in chosen if held.is_in_force(Action.BLACK_HOLE, device)]

    def test_a_drop_is_for_devices_unless_it_names_operations(self) -> None:
        faults = in_force(Fault(action=Action.DROP))
        assert faults.is_in_force(Action.DROP, "x")
        assert faults.strike(Action.DROP, METHOD, "x") is None
        faults = in_force(Fault(action=Action.DROP, operations=frozenset({METHOD})))
        assert not faults.is_in_force(Action.DROP, "x")
        assert faults.strike(Action.DROP, METHOD, "x") is not None


class TestOperations:
    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (500, ErrorCode.SERVER_ERROR),
            (503, ErrorCode.SERVICE_UNAVAILABLE),
            (429, ErrorCode.THROTTLING_EXCEPTION),
        ],
    )
    def test_an_error_fault_refuses_with_its_status(self, status: int, code: ErrorCode) -> None:
        hub = make_hub()
        hub.traffic.faults.put(
            plan(Fault(action=Action.ERROR, status=status, retry_after_seconds=7, count=1))
        )
        with pytest.raises(HubError) as error:
            hub.traffic.admit(Operation.QUERY)
        assert (error.value.code, error.value.retry_after_seconds) == (code, 7)
        assert hub.traffic.counters.faulted[Operation.QUERY] == 1
        assert hub.traffic.admit(Operation.QUERY) == 0

    def test_a_delay_is_returned_to_the_caller(self) -> None:
        hub = make_hub()
        hub.traffic.faults.put(plan(Fault(action=Action.DELAY, seconds=1.5)))
        assert hub.traffic.admit(Operation.QUERY) == 1.5


class TestConnections:
    @pytest.fixture
    def hub(self) -> Hub:
        hub = make_hub()
        for device_id in ("one", "two"):
            make_device(hub, device_id)
        return hub

    def test_a_drop_closes_a_connection_once(self, hub: Hub) -> None:
        one, two = connect(hub, "one"), connect(hub, "two")
        hub.traffic.faults.put(plan(Fault(action=Action.DROP, devices=("one",))))
        assert len(one.closed) == 1
        assert two.closed == []
        again = connect(hub, "one")
        assert again.closed == []
        assert hub.traffic.faults.struck == [1]

    def test_a_black_hole_suspends_until_it_ends(self, hub: Hub) -> None:
        one, two = connect(hub, "one"), connect(hub, "two")
        hole = plan(Fault(action=Action.BLACK_HOLE, devices=("one",)))
        hub.traffic.faults.put(hole)
        hub.traffic.faults.put(hole)
        assert (one.suspended, two.suspended) == ([True], [])
        assert hub.connection_faults.suspend_connect("one", late := connect(hub, "one"))
        assert not hub.connection_faults.suspend_connect("two", two)
        hub.traffic.faults.put(FaultPlan())
        assert (one.suspended, late.suspended) == ([True, False], [True, False])

    def test_a_suspended_socket_that_closed_is_forgotten(self, hub: Hub) -> None:
        one = connect(hub, "one")
        hub.traffic.faults.put(plan(Fault(action=Action.BLACK_HOLE)))
        hub.connection_faults.forget(one)
        hub.traffic.faults.put(FaultPlan())
        assert one.suspended == [True]

    def test_an_expired_token_closes_and_stays_invalid_but_a_newer_one_is_valid(
        self, hub: Hub
    ) -> None:
        one = connect(hub, "one", Subscription.METHODS)
        one.expires_at = 1000
        hub.traffic.faults.put(plan(Fault(action=Action.EXPIRE_TOKEN)))
        faults = hub.traffic.faults
        assert len(one.closed) == 1
        assert faults.is_expired("one", 1000)
        assert not faults.is_expired("one", 1001)
        assert not faults.is_expired("two", 1000)
        faults.put(FaultPlan())
        assert not faults.is_expired("one", 1000)


class TestAsJson:
    def test_a_plan_can_be_read_back_and_sent_again(self) -> None:
        body: Json = {
            "seed": 5,
            "faults": [
                {"action": "error", "operations": ["twinRead"], "share": "5%", "status": 429},
                {"action": "blackHole", "devices": "a-*"},
                {"action": "refuse", "returnCode": 5, "count": 3},
            ],
        }
        faults = Faults()
        faults.put(read_fault_plan(body))
        shown = faults_document(faults)
        assert isinstance(shown["faults"], list)
        for fault in shown["faults"]:
            assert isinstance(fault, dict)
            assert fault.pop("struck") == 0
        assert read_fault_plan(shown) == faults.plan
        assert faults.plan.faults[0].share == 0.05

    def test_an_empty_plan_ends_all_faults(self) -> None:
        assert read_fault_plan({}) == FaultPlan()

    @pytest.mark.parametrize(
        "fault",
        [
            {},
            {"action": "explode"},
            {"action": "drop", "device": "one"},
            {"action": "drop", "devices": [1]},
            {"action": "drop", "devices": {}},
            {"action": "drop", "count": 1},
            {"action": "error", "status": 418},
            {"action": "error", "status": True},
            {"action": "error", "share": "lots%"},
            {"action": "error", "share": "5"},
            {"action": "error", "share": "nan%"},
            {"action": "error", "share": 2},
            {"action": "error", "share": None},
            {"action": "error", "operations": ["x"]},
            {"action": "error", "count": -1},
            {"action": "delay", "seconds": "1"},
            {"action": "delay", "seconds": 1e9},
            {"action": "refuse", "returnCode": 0},
        ],
    )
    def test_an_invalid_fault_is_refused(self, fault: Json) -> None:
        with pytest.raises(HubError):
            read_fault_plan({"faults": [fault]})

    @pytest.mark.parametrize("body", [[], {"fault": []}, {"faults": {}}, {"faults": [{}] * 101}])
    def test_an_invalid_plan_is_refused(self, body: Json) -> None:
        with pytest.raises(HubError):
            read_fault_plan(body)
