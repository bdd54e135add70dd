"""Check `fleet wait` and `fleet watch`: only changes, and nothing lost."""

import json
import random

import httpx
import pytest

from tests.fleet.conftest import Cloud, advancing, lines


def test_a_wait_that_is_killed_a_hundred_times_loses_nothing(cloud: Cloud) -> None:
    """Kill the command at a random request; start it again until it has ended by itself."""
    rollout_id = cloud.create("--max-in-flight", "1", "--wave", "canary=2")
    draw, kills, seen = random.Random(1), 0, list[str]()  # noqa: S311 - no secret
    left = [0]

    def kill(request: httpx.Request) -> None:
        if left[0] == 0:
            raise SystemExit(137)
        left[0] -= 1
        if kills > 50 or draw.random() < 0.1:
            advancing(cloud)(request)

    cloud.between = kill
    result = None
    while kills < 100:
        left[0] = draw.randrange(4)
        result = cloud.run("wait", rollout_id, "--jsonl")
        seen += [line for line in lines(result) if '"event"' in line]
        kills += result.exit_code == 137
        if result.exit_code == 0:
            kills += 1
    cloud.between = advancing(cloud)
    last = cloud.run("wait", rollout_id, "--jsonl")
    assert last.exit_code == 0
    seen += [line for line in lines(last) if '"event"' in line]
    trail = json.loads(cloud.run("events", rollout_id, "--json").stdout)["value"]
    assert [json.loads(line) for line in dict.fromkeys(seen)] == [
        {"type": "event", **event} for event in trail
    ]
    assert json.loads(lines(last)[-1])["status"] == "completed"


def test_a_wait_survives_restarts_of_the_service(cloud: Cloud) -> None:
    rollout_id, draw = cloud.create(), random.Random(2)  # noqa: S311 - no secret

    def disturb(request: httpx.Request) -> httpx.Response | None:
        advancing(cloud)(request)
        number = draw.random()
        if number < 0.2:
            raise httpx.RemoteProtocolError("server disconnected", request=request)
        if number < 0.4:
            raise httpx.ConnectError("connection refused", request=request)
        return httpx.Response(502, text="bad gateway") if number < 0.6 else None

    cloud.between = disturb
    result = cloud.run("wait", rollout_id)
    assert result.exit_code == 0, result.output
    assert lines(result)[-1] == "completed: 6 completed of 6 devices"


def test_a_wait_prints_each_change_once(cloud: Cloud) -> None:
    rollout_id = cloud.create()
    cloud.between = advancing(cloud)
    printed = lines(cloud.run("wait", rollout_id))
    assert len(printed) == len(set(printed))
    assert printed[-1] == "completed: 6 completed of 6 devices"
    assert any("created by api" in line for line in printed)


def test_a_watch_without_a_terminal_prints_the_lines_of_a_wait(cloud: Cloud) -> None:
    rollout_id = cloud.create()
    cloud.between = advancing(cloud)
    watched = cloud.run("watch", rollout_id)
    assert watched.exit_code == 0
    assert "\x1b" not in watched.stdout
    assert lines(watched)[-1] == "completed: 6 completed of 6 devices"


def test_a_trail_of_several_pages_is_read_once(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.follow._PAGE", 2)
    rollout_id = cloud.create("--max-in-flight", "1")
    for number in range(5):
        cloud.run("pause", rollout_id, "--reason", str(number))
        cloud.run("resume", rollout_id)
    cloud.between = advancing(cloud)
    waited = [json.loads(line) for line in lines(cloud.run("wait", rollout_id, "--jsonl"))]
    shown = [{**item} for item in waited if item.pop("type") == "event"]
    assert shown == json.loads(cloud.run("events", rollout_id, "--json").stdout)["value"]


def test_an_interrupt_ends_with_130(cloud: Cloud) -> None:
    rollout_id = cloud.create()

    def interrupt(_: httpx.Request) -> None:
        raise KeyboardInterrupt

    cloud.between = interrupt
    assert cloud.run("wait", rollout_id).exit_code == 130
