"""Test how webhooks are set, replaced, deleted and tested."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import ConflictError, InvalidError, UnknownError
from functions.rollouts.model.webhook import Disabled, Failing, WebhookFormat
from functions.use_cases import webhooks
from functions.use_cases.webhooks import MAX_WEBHOOKS, NewWebhook, SetWebhook
from tests.functions.fragile import before
from tests.functions.use_cases.receivers import WorldWithReceivers

URL = "https://hooks.example/fleet"
SLACK_URL = "https://hooks.slack.com/services/T0"
SECRET, OTHER_SECRET = b"k" * 32, b"l" * 32


@pytest.fixture
def world() -> WorldWithReceivers:
    return WorldWithReceivers([], still=True)


def put(world: WorldWithReceivers, name: str = "ops", **values: Any) -> SetWebhook:
    return webhooks.set_webhook(world.services, name, NewWebhook(**{"url": URL} | values))


def test_a_url_that_the_app_may_not_dial_is_refused_with_the_reason(
    world: WorldWithReceivers,
) -> None:
    with pytest.raises(InvalidError) as caught:
        put(world, url="https://private.example")
    (field,) = caught.value.fields
    assert (field.pointer, field.detail) == ("/url", "the host has a private address")


def test_a_replaced_webhook_has_the_values_of_the_request_and_is_enabled(
    world: WorldWithReceivers,
) -> None:
    first = put(world)
    assert first.is_new
    failing = Failing(since=world.now, at=world.now, event_id="r-0", detail="status 500")
    disabled = Disabled(at=world.now, reason="gone")
    stored = world.stores.webhooks.get("ops")
    assert stored is not None
    failed = replace(stored.record, failing=failing, disabled=disabled)
    world.stores.webhooks.save(failed, stored.version)
    world.pass_time(hours=1)
    again = put(world, url=SLACK_URL, actions=("paused",))
    assert not again.is_new
    assert webhooks.get_webhook(world.services, "ops") == again.webhook
    assert again.webhook == replace(
        first.webhook,
        url=SLACK_URL,
        format=WebhookFormat.SLACK,
        actions=("paused",),
        changed_at=world.now,
    )


def test_a_requested_format_is_kept_whatever_the_url(world: WorldWithReceivers) -> None:
    kept = put(world, url=SLACK_URL, format=WebhookFormat.CLOUD_EVENTS).webhook
    assert kept.format is WebhookFormat.CLOUD_EVENTS


def test_a_secret_is_made_if_the_request_has_none_or_rotates_it(
    world: WorldWithReceivers,
) -> None:
    first, second, third = put(world), put(world), put(world, rotate_secret=True)
    assert first.made_secret == first.webhook.secret == second.webhook.secret
    assert second.made_secret is None
    assert third.made_secret == third.webhook.secret != first.webhook.secret
    assert len(first.webhook.secret) == len(third.webhook.secret) == 32


def test_an_earlier_secret_signs_for_a_day_after_another_one_is_set(
    world: WorldWithReceivers,
) -> None:
    for _ in range(2):
        same = put(world, secret=SECRET)
        assert (same.made_secret, same.webhook.secret) == (None, SECRET)
        assert (same.webhook.earlier_secret, same.webhook.earlier_until) == (None, None)
    changed = put(world, secret=OTHER_SECRET).webhook
    assert (changed.secret, changed.earlier_secret) == (OTHER_SECRET, SECRET)
    assert changed.earlier_until == world.now + timedelta(days=1)


def test_a_webhook_over_the_limit_is_refused_and_one_of_them_is_replaced(
    world: WorldWithReceivers,
) -> None:
    for number in range(MAX_WEBHOOKS):
        put(world, f"ops-{number}")
    with pytest.raises(ConflictError):
        put(world, "ops")
    assert not put(world, "ops-0", actions=("paused",)).is_new
    assert len(webhooks.list_webhooks(world.services)) == MAX_WEBHOOKS


def test_a_webhook_that_another_request_changes_meanwhile_is_set_all_the_same(
    world: WorldWithReceivers,
) -> None:
    with before(world.stores.webhooks, "save", lambda: put(world, actions=("failed",))):
        assert not put(world, actions=("paused",)).is_new
    assert webhooks.get_webhook(world.services, "ops").actions == ("paused",)


def test_a_webhook_that_another_request_changes_meanwhile_is_deleted_all_the_same(
    world: WorldWithReceivers,
) -> None:
    put(world)
    with before(world.stores.webhooks, "delete", lambda: put(world, actions=("failed",))):
        webhooks.delete_webhook(world.services, "ops")
    assert webhooks.list_webhooks(world.services) == []


@pytest.mark.parametrize("call", [webhooks.get_webhook, webhooks.delete_webhook])
def test_a_message_repeats_64_characters_of_an_unknown_name(
    world: WorldWithReceivers, call: Any
) -> None:
    with pytest.raises(UnknownError) as caught:
        call(world.services, "x" * 65)
    assert f"'{'x' * 64}'" in str(caught.value)


def test_each_test_of_a_webhook_has_an_id_of_its_own(world: WorldWithReceivers) -> None:
    put(world)
    for _ in range(2):
        assert webhooks.send_test(world.services, "ops").is_success
    ids = world.receivers.ids()
    assert len(set(ids)) == 2
    assert all(item.startswith("test-") for item in ids)
