"""The states of all devices over HTTP: complete, in parts, in the past, small, cheap to read."""

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from functions.rollouts.model.block_states import BlockStates
from functions.rollouts.model.device_update import HistoryEntry
from functions.rollouts.model.outage import Outage
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout.failure_tally import count_failures
from functions.triggers import http_states
from functions.wire.fields import time_text
from functions.wire.states import StatesSchema
from simulator.simulated_fleet.shares import Fault
from tests.functions.builders import NOON, make_rollout, make_wave
from tests.functions.triggers.client import Client
from tests.functions.triggers.routing import send
from tests.functions.use_cases.world import World, device

FIVE_MINUTES = timedelta(minutes=5)


@pytest.fixture
def world() -> World:
    fleet = [device(f"d-{number:03}", stratum="ab"[number % 2]) for number in range(250)]
    fleet[7] = device("d-007", stratum="b", fault=Fault.FAILING)
    return World(fleet, still=True)


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def create(client: Client, world: World, **strategy: Any) -> str:
    body = {
        "firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw.bin"},
        "target": {"deviceIds": list(world.hub.devices)},
        "strategy": {"failureGate": {"unacceptable": "90%"}, **strategy},
    }
    created = client.post("/rollouts", body)
    assert created.status == 201, created.text
    return str(created.body["id"])


def states(client: Client, rollout_id: str, query: str = "") -> Any:
    response = client.get(f"/rollouts/{rollout_id}/states{query}")
    assert response.status == 200, response.text
    return response.body


def spell(body: Any) -> str:
    """Return the letters of all devices, in start order."""
    text = ["?"] * body["total"]
    for block in body["blocks"]:
        text[block["first"] : block["first"] + len(block["states"])] = block["states"]
    return "".join(text)


def spelled_by_hand(client: Client, body: Any, rollout_id: str) -> str:
    """Return the same letters as `spell`, from the list of devices."""
    letters = {
        (item["state"], item.get("reason")): letter for letter, item in body["letters"].items()
    }
    found, path = "", f"/rollouts/{rollout_id}/devices?limit=100"
    while path:
        page = client.get(path).body
        for item in page["value"]:
            reason = item["skipReason"] or (item["error"] and item["error"]["code"])
            found += letters[item["state"], reason]
        path = page.get("nextLink", "").partition("/api")[2]
    return found


def test_every_device_has_the_letter_of_its_state(world: World, client: Client) -> None:
    rollout_id = create(client, world, maxInFlight=20)
    seen = set()
    for _ in range(40):
        body = states(client, rollout_id)
        assert spell(body) == spelled_by_hand(client, body, rollout_id)
        seen |= set(spell(body))
        world.ticks(1)
    assert {"q", "a", "l", "c", "F"} <= seen


def test_with_after_only_changed_blocks_are_sent_and_none_is_missed(
    world: World, client: Client
) -> None:
    rollout_id = create(client, world, maxInFlight=10)
    known = states(client, rollout_id)
    shown, parts = list(spell(known)), 0
    for _ in range(200):
        world.ticks(1)
        part = states(client, rollout_id, f"?after={known['revision']}")
        parts += len(part["blocks"]) < 3
        for block in part["blocks"]:
            shown[block["first"] : block["first"] + len(block["states"])] = block["states"]
        assert "".join(shown) == spell(states(client, rollout_id))
        known = part
    assert parts > 100
    assert Counter(shown) == {"c": 249, "F": 1}


def test_a_request_after_the_latest_revision_has_no_blocks(world: World, client: Client) -> None:
    rollout_id = create(client, world)
    world.until_over(rollout_id)
    body = states(client, rollout_id)
    again = states(client, rollout_id, f"?after={body['revision']}")
    assert again["blocks"] == []
    assert again["curve"] == body["curve"]
    assert again["failures"] == body["failures"]


def test_failures_name_their_code_and_a_device(world: World, client: Client) -> None:
    rollout_id = create(client, world)
    world.until_over(rollout_id)
    body = states(client, rollout_id)
    assert body["failures"] == [{"code": "reported", "count": 1, "example": "d-007"}]
    assert sum(body["curve"]["completed"]) == 249
    assert sum(body["curve"]["failed"]) == 1
    assert sum(body["curve"]["started"]) == 250


def test_strata_are_sent_once(world: World, client: Client) -> None:
    rollout_id = create(client, world, stratifyBy=["tags.site"])
    body = states(client, rollout_id)
    assert sorted(body["strata"]) == ["a", "b"]
    assert Counter("".join(block["strata"] for block in body["blocks"])) == {"a": 125, "b": 125}
    world.ticks(3)
    part = states(client, rollout_id, f"?after={body['revision']}")
    assert part["blocks"]
    assert all("strata" not in block for block in part["blocks"])


def test_versions_that_devices_ran_before_have_letters(world: World, client: Client) -> None:
    rollout_id = create(client, world)
    world.ticks(5)
    body = states(client, rollout_id)
    used = {letter for block in body["blocks"] for letter in block["versions"]} - {"."}
    assert len(body["versions"]) == len(used) > 0


class TestAt:
    def test_states_are_those_of_then(self, world: World, client: Client) -> None:
        rollout_id = create(client, world, maxInFlight=20)
        recorded: list[tuple[datetime, str]] = []
        for _ in range(30):
            recorded.append((world.now, spell(states(client, rollout_id))))
            world.ticks(1)
        for at, expected in recorded:
            past = states(client, rollout_id, f"?at={time_text(at)}")
            # A device's own report has the time of the device, which the app reads a tick later.
            differing = sum(a != b for a, b in zip(spell(past), expected, strict=True))
            assert differing <= 20
            assert spell(past).count("c") >= expected.count("c")
            assert past["at"] == time_text(at)

    def test_before_the_rollout_no_state_is_known(self, world: World, client: Client) -> None:
        before = time_text(world.now - timedelta(hours=1))
        body = states(client, create(client, world), f"?at={before}")
        assert set(spell(body)) == {"?"}
        assert body["letters"] == {"?": {"state": None}}
        assert body["curve"] is None

    def test_a_time_whose_history_was_cut_is_unknown(self, world: World, client: Client) -> None:
        rollout_id = create(client, world)
        world.until_over(rollout_id)
        cut = HistoryEntry(world.update(rollout_id, "d-000").state, 1, world.now, "cut")
        stored = world.stores.rollouts.get(rollout_id)
        assert stored is not None
        stored = world.stores.rollouts.get_blocks(stored, range(3))
        blocks = [
            block.apply(lambda update: update._replace(history=(cut,)))
            for block in stored.blocks.values()
        ]
        world.stores.rollouts.save(stored, stored.rollout, blocks)
        at = time_text(world.now - timedelta(minutes=1))
        assert set(spell(states(client, rollout_id, f"?at={at}"))) == {"?"}

    @pytest.mark.parametrize("text", ["yesterday", "2026-12-01", "2026-12-01T02:00:00", "9" * 400])
    def test_a_time_that_cannot_be_read_is_refused(
        self, world: World, client: Client, text: str
    ) -> None:
        response = client.get(f"/rollouts/{create(client, world)}/states?at={text}")
        assert response.status == 422
        assert "ISO 8601" in response.text


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "9" * 17])
def test_an_invalid_revision_is_refused(world: World, client: Client, after: str) -> None:
    assert client.get(f"/rollouts/{create(client, world)}/states?after={after}").status == 422


def test_an_unknown_rollout_is_not_found(client: Client) -> None:
    assert client.get("/rollouts/98233500000000-0123456789ab/states").status == 404
    assert client.get(f"/rollouts/{'x' * 9000}/states").status == 404


class _Reads:
    """Counts the reads of a store's rollouts."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records = self.blocks = 0
        rollouts = world.stores.rollouts
        get, get_blocks = rollouts.get, rollouts.get_blocks

        def counted_get(rollout_id: str) -> Any:
            self.records += 1
            return get(rollout_id)

        def counted_blocks(snapshot: Any, numbers: Any) -> Any:
            self.blocks += len(numbers)
            return get_blocks(snapshot, numbers)

        monkeypatch.setattr(rollouts, "get", counted_get)
        monkeypatch.setattr(rollouts, "get_blocks", counted_blocks)


def test_twenty_pages_read_no_more_than_one(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout_id = create(client, world)
    reads = _Reads(world, monkeypatch)
    revision = states(client, rollout_id)["revision"]
    assert (reads.records, reads.blocks) == (1, 3)
    for _ in range(60):
        for _ in range(20):
            states(client, rollout_id, f"?after={revision}")
        world.pass_time(seconds=1)
    assert reads.records <= 60
    assert reads.blocks == 3


def test_the_time_of_the_tick_is_read_when_the_next_one_is_due(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout_id = create(client, world)
    reads = 0
    get = world.stores.budget.get

    def counted() -> Any:
        nonlocal reads
        reads += 1
        return get()

    for tick in range(6):
        world.tick()
        monkeypatch.setattr(world.stores.budget, "get", counted)
        for _ in range(9):
            body = states(client, rollout_id)
            world.pass_time(seconds=1)
        monkeypatch.setattr(world.stores.budget, "get", get)
        assert tick == 0 or body["tickedAt"] is not None
    assert body["tickSeconds"] == 10
    assert reads <= 12


def test_the_states_of_ten_thousand_devices_are_small() -> None:
    random = Random(16)  # noqa: S311 - a reproducible sample
    blocks = [_random_block(number, random) for number in range(100)]
    rollout = replace(make_rollout(make_wave(10_000)), strata=tuple("abcd"))
    whole = _compressed(rollout, blocks, after=None)
    assert len(whole) < 20_000
    changed = [
        replace(block, revision=2, letters=block.letters.replace("q", "a", 1)) for block in blocks
    ]
    assert len(_compressed(rollout, changed, after=1)) < 5_000


def _random_block(number: int, random: Random) -> BlockStates:
    """Return a block as in the middle of a rollout: ends, a few failures, devices in flight."""
    done = 100 if number < 45 else 0
    weights = [90, 4, 2, 2, 2] if done else [96, 2, 1, 1, 0]
    letters = "".join(
        random.choices("cFTW2" if done else "qqla", weights[: 5 if done else 4], k=100)
    )
    return BlockStates(
        number=number,
        revision=1,
        letters=letters,
        versions=tuple(random.choice(["1.0", "1.1"]) if done else None for _ in range(100)),
        strata=tuple(random.randrange(4) for _ in range(100)),
        started={NOON + timedelta(seconds=number): 100} if done else {},
        ended=tuple((NOON + timedelta(seconds=number), True) for _ in range(done)),
        examples={"F": f"device-{number}"} if "F" in letters else {},
    )


def _compressed(rollout: Rollout, blocks: Sequence[BlockStates], after: int | None) -> bytes:
    body = StatesSchema.of_blocks(
        rollout,
        blocks,
        after=after,
        at=NOON + timedelta(hours=1),
        failures=count_failures(blocks),
        ticked_at=NOON,
        tick_seconds=10.0,
        forecast=None,
        rollout=None,
    )
    return gzip.compress(json.dumps(body.to_json_value(), separators=(",", ":")).encode())


def test_the_rollout_is_sent_when_it_has_changed(world: World, client: Client) -> None:
    rollout_id = create(client, world)
    body = states(client, rollout_id)
    assert body["rollout"] | {"target": None} == client.get(f"/rollouts/{rollout_id}").body | {
        "target": None
    }
    assert "rollout" not in states(client, rollout_id, f"?after={body['revision']}")
    world.ticks(1)
    changed = states(client, rollout_id, f"?after={body['revision']}")
    assert changed["rollout"]["revision"] == changed["revision"] > body["revision"]


def test_a_wait_ends_without_a_change(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_states, "POLL_SECONDS", 0.01)
    revision = states(client, create(client, world))["revision"]
    rollout_id = client.get("/rollouts").body["value"][0]["id"]
    waited = states(client, rollout_id, f"?after={revision}&waitSeconds=1")
    assert waited["revision"] == revision


def test_a_response_is_compressed_if_the_caller_takes_it(world: World, client: Client) -> None:
    path = f"/rollouts/{create(client, world)}/states"
    response = send("GET", path, b"", {"accept-encoding": "br, gzip"})
    assert response is not None
    assert response.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(response.get_body()))["total"] == 250
    plain = send("GET", path, b"", {"accept-encoding": "gzip;q=0, br"})
    assert plain is not None
    assert "Content-Encoding" not in plain.headers


def test_a_list_of_devices_begins_at_a_position(world: World, client: Client) -> None:
    path = f"/rollouts/{create(client, world)}/devices"
    ids = [item["deviceId"] for n in (0, 100, 200) for item in _page(client, path, n, 100)]
    assert sorted(ids) == sorted(world.hub.devices)
    for position in (0, 7, 99, 100, 249):
        assert [item["deviceId"] for item in _page(client, path, position, 1)] == [ids[position]]
    assert _page(client, path, 250, 1) == []
    assert client.get(f"{path}?position=-1").status == 422


def _page(client: Client, path: str, position: int, limit: int) -> list[Any]:
    value: list[Any] = client.get(f"{path}?position={position}&limit={limit}").body["value"]
    return value


class TestHalts:
    """Times in which no device could start, for a reason outside of the rollout."""

    def test_a_closed_window_has_the_time_at_which_it_opens(
        self, world: World, client: Client
    ) -> None:
        window = {"start": "11:00", "end": "12:10", "timezone": "UTC"}
        rollout_id = create(client, world, window=window)
        assert states(client, rollout_id)["halts"] == []
        world.pass_time(minutes=30)
        (halt,) = states(client, rollout_id)["halts"]
        assert halt["code"] == "window"
        assert (halt["since"][11:16], halt["until"]) == ("12:10", "2026-11-24T11:00:00.000Z")
        world.pass_time(days=1)
        assert [item["since"][:10] for item in states(client, rollout_id)["halts"]] == [
            "2026-11-23",
            "2026-11-24",
        ]

    def test_an_outage_is_listed_as_it_was_known_at_a_time(
        self, world: World, client: Client
    ) -> None:
        rollout_id = create(client, world)
        began = world.now
        outage = Outage(code="dailyQuota", message="Used up.", since=began)
        self.store(world, rollout_id, outage)
        world.pass_time(minutes=5)
        self.store(world, rollout_id, replace(outage, until=world.now))
        world.pass_time(minutes=5)
        (now,) = states(client, rollout_id)["halts"]
        assert (now["code"], now["until"]) == ("dailyQuota", time_text(began + FIVE_MINUTES))
        during = time_text(began + FIVE_MINUTES / 2)
        (then,) = states(client, rollout_id, f"?at={during}")["halts"]
        assert then == now | {"until": None}
        before = time_text(began - FIVE_MINUTES)
        assert states(client, rollout_id, f"?at={before}")["halts"] == []

    @staticmethod
    def store(world: World, rollout_id: str, outage: Outage) -> None:
        stored = world.stores.rollouts.get(rollout_id)
        assert stored is not None
        world.stores.rollouts.save(stored, replace(stored.rollout, outages=(outage,)), [])


def test_the_forecast_has_the_rate_that_the_quotas_allow(world: World, client: Client) -> None:
    forecast = states(client, create(client, world, maxInFlight=1))["forecast"]
    assert forecast["limitedBy"] == "maxInFlight"
    assert forecast["startsLimitedBy"] == "twinUpdates"
    assert forecast["startsPerSecond"] == world.services.limits.starts
