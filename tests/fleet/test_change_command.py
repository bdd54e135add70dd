"""Change an open rollout by `fleet change`."""

import json
from typing import Any

import pytest

from tests.fleet.conftest import Cloud


@pytest.fixture
def rollout_id(cloud: Cloud) -> str:
    return cloud.create("--max-in-flight", "1", "--wave", "canary=1")


def strategy(cloud: Cloud, rollout_id: str) -> Any:
    return json.loads(cloud.run("show", rollout_id, "--json").stdout)["strategy"]


def test_the_given_parts_change_and_the_others_stay(cloud: Cloud, rollout_id: str) -> None:
    before = strategy(cloud, rollout_id)
    changed = cloud.run(
        "change", rollout_id, "--reason", "the canary runs hot", "--by", "ada",
        "--unacceptable", "5%", "--max-in-flight", "3", "--soak", "30m", "--max-not-started", "2",
    )  # fmt: skip
    assert changed.exit_code == 0, changed.output
    assert f"rollout {rollout_id} (revision " in changed.stdout
    after = strategy(cloud, rollout_id)
    assert (after["maxInFlight"], after["soak"], after["maxNotStarted"]) == (3, "PT30M", 2)
    assert after["waves"] == before["waves"]
    events = cloud.run("events", rollout_id).stdout
    assert "changed by ada" in events
    assert "the canary runs hot" in events


def test_a_limit_is_cleared(cloud: Cloud, rollout_id: str) -> None:
    changed = cloud.run("change", rollout_id, "--reason", "r", "--clear", "max-in-flight")
    assert changed.exit_code == 0, changed.output
    assert strategy(cloud, rollout_id)["maxInFlight"] is None


def test_a_change_of_another_revision_is_refused(cloud: Cloud, rollout_id: str) -> None:
    shown = json.loads(cloud.run("show", rollout_id, "--json").stdout)["revision"]
    change = ("change", rollout_id, "--reason", "r", "--max-in-flight", "2", "--revision")
    assert cloud.run(*change, str(shown)).exit_code == 0
    late = cloud.run(*change, str(shown))
    assert late.exit_code == 2
    assert strategy(cloud, rollout_id)["maxInFlight"] == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Change what?"),
        (("--clear", "soak"), "--clear takes success-share, max-in-flight, window, not 'soak'"),
        (("--clear", "window", "--window", "01:00-05:00"), "not both"),
        (("--timezone", "Europe/Berlin"), "--timezone is of a --window"),
        (("--soak", "soon"), "A duration is"),
        (("--unacceptable", "200%"), "/strategy/failureGate/unacceptable"),
    ],
)
def test_wrong_usage_is_explained(
    cloud: Cloud, rollout_id: str, arguments: tuple[str, ...], told: str
) -> None:
    before = strategy(cloud, rollout_id)
    result = cloud.run("change", rollout_id, "--reason", "r", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert strategy(cloud, rollout_id) == before


def test_a_change_needs_a_reason(cloud: Cloud, rollout_id: str) -> None:
    assert cloud.run("change", rollout_id, "--max-in-flight", "2").exit_code == 2
