"""Watch a rollout live in terminals of several widths: a bad firmware is stopped by the gate."""

import re

import pytest

from simulator.simulated_fleet.shares import Fault
from tests.fleet.conftest import KEY, Cloud
from tests.fleet.terminal import run_in_pipe, run_in_terminal, serve
from tests.functions.use_cases.world import World, device, devices


@pytest.fixture
def rollout_id(cloud: Cloud) -> str:
    """Return a rollout whose canary fails on half of its devices."""
    bad = [device(f"bad-{number:03}", fault=Fault.FAILING) for number in range(20)]
    cloud.world = World([*devices(20), *bad], still=True)
    return cloud.create("--wave", "canary=10", "--wave", "site=50%")


@pytest.mark.parametrize("width", [50, 80, 120])
def test_the_tree_is_redrawn(cloud: Cloud, rollout_id: str, width: int) -> None:
    with serve(cloud) as api:
        shown = run_in_terminal(api, width, "watch", rollout_id, "--fail-on-pause")
    assert shown.exit_code == 5, shown.raw
    assert KEY not in shown.raw
    text = "\n".join(shown.screen)
    assert max(map(len, shown.screen)) <= width
    for name in ("canary", "site"):
        drawn = [line for line in shown.screen if re.match(rf"[├└]─ {name} ", line)]
        assert len(drawn) == 1, text
    assert len(re.findall(r"^2\.4\.0 ", text, re.MULTILINE)) == 1, text
    assert re.search(r"^2\.4\.0 paused", text, re.MULTILINE)
    joined = " ".join(shown.screen)
    assert "failureGate: Wave canary:" in joined
    assert "rate:" not in joined
    assert re.search(rf"Next: fleet devices\s+{rollout_id}", joined)
    assert re.search(r"reported: \d+ devices?, such as bad-", joined)
    assert any("running" in line for frame in shown.frames for line in frame)


def test_no_color_shows_the_same_without_colours(cloud: Cloud, rollout_id: str) -> None:
    with serve(cloud) as api:
        shown = run_in_terminal(api, 80, "watch", rollout_id, "--fail-on-pause", NO_COLOR="1")
    assert shown.exit_code == 5, shown.raw
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", shown.raw)
    assert any(line.startswith("2.4.0 paused") for line in shown.screen)


def test_a_pipe_gets_plain_lines(cloud: Cloud, rollout_id: str) -> None:
    with serve(cloud) as api:
        shown = run_in_pipe(api, "watch", rollout_id, "--fail-on-pause")
    assert shown.exit_code == 5, shown.raw
    assert "\x1b" not in shown.raw
    assert "paused" in shown.screen[-1]
    assert "Next: fleet devices" in shown.screen[-1]
    assert len(shown.screen) == len(set(shown.screen))
