"""Manage webhooks by `fleet webhooks`."""

import json

import pytest

from tests.fleet.conftest import Cloud, lines
from tests.functions.use_cases.receivers import WorldWithReceivers
from tests.functions.use_cases.world import devices

URL = "https://hooks.example/fleet/c2VjcmV0LXBhdGg"


@pytest.fixture
def world(cloud: Cloud) -> WorldWithReceivers:
    cloud.world = world = WorldWithReceivers(devices(3), still=True)
    return world


@pytest.mark.usefixtures("world")
def test_a_webhook_from_set_to_remove(cloud: Cloud) -> None:
    made = cloud.run("webhooks", "set", "ops", "--event", "paused", FLEET_WEBHOOK_URL=URL)
    assert made.exit_code == 0, made.output
    assert "secret whsec_" in made.stdout
    assert "events: paused" in made.stdout
    assert lines(cloud.run("webhooks")) == ["ops  cloudEvents  https://hooks.example/***  enabled"]
    shown = cloud.run("webhooks", "show", "ops")
    assert "whsec_" not in shown.stdout
    assert "c2VjcmV0" not in shown.stdout + made.stdout
    assert "removed ops" in cloud.run("webhooks", "remove", "ops").stdout
    assert cloud.run("webhooks", "show", "ops").exit_code == 2


@pytest.mark.usefixtures("world")
def test_what_is_not_given_stays(cloud: Cloud) -> None:
    cloud.run("webhooks", "set", "ops", "--url", URL, "--event", "paused", "--format", "slack")
    again = cloud.run("webhooks", "set", "ops", "--url", f"{URL}/other", "--json")
    kept = json.loads(again.stdout)
    assert (kept["format"], kept["actions"], kept.get("secret")) == ("slack", ["paused"], None)
    every = json.loads(
        cloud.run("webhooks", "set", "ops", "--url", URL, "--all-events", "--json").stdout
    )
    assert (every["format"], every["actions"]) == ("slack", [])
    rotated = cloud.run("webhooks", "set", "ops", "--url", URL, "--rotate-secret", "--json")
    assert json.loads(rotated.stdout)["secret"].startswith("whsec_")


def test_a_test_says_how_it_ended(cloud: Cloud, world: WorldWithReceivers) -> None:
    cloud.run("webhooks", "set", "ops", "--url", URL)
    done = cloud.run("webhooks", "test", "ops")
    assert (done.exit_code, done.stdout.startswith("delivered: ")) == (0, True)
    world.receivers.respond = lambda _: 500
    failed = cloud.run("webhooks", "test", "ops")
    assert (failed.exit_code, failed.stdout.startswith("not delivered: ")) == (1, True)


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("send", "ops"), "or test, not 'send'"),
        (("show",), "with the NAME of one"),
        (("list", "ops"), "with the NAME of one"),
        (("set", "ops"), "needs --url"),
        (("set", "ops", "--url", URL, "--event", "a", "--all-events"), "not both"),
        (("set", "ops", "--url", "https://private.example/x"), "private address"),
        (("set", "ops", "--url", URL, "--secret", "short"), "whsec_"),
        (("remove", "ops"), "ops"),
    ],
)
def test_wrong_usage_is_explained(cloud: Cloud, arguments: tuple[str, ...], told: str) -> None:
    result = cloud.run("webhooks", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert URL not in result.output
