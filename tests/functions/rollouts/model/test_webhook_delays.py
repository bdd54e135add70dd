"""Test which events a webhook receives, and when a failed delivery is attempted again."""

from datetime import timedelta

import pytest

from functions.rollouts.model.webhook import (
    FIRST_DELAY,
    MAX_DELAY,
    Webhook,
    WebhookFormat,
    delay_after,
    event_id,
)
from tests.functions.builders import at


@pytest.mark.parametrize(
    ("failures", "jitter", "factor"), [(1, 0, 1), (1, 0.5, 0.9), (1, 1, 0.8), (4, 0.5, 8 * 0.9)]
)
def test_a_delay_doubles_and_the_jitter_shortens_it(
    failures: int, jitter: float, factor: float
) -> None:
    assert delay_after(failures, jitter, None) == FIRST_DELAY * factor


@pytest.mark.parametrize("failures", [12, 100, 10_000])
def test_a_delay_has_an_upper_bound(failures: int) -> None:
    assert delay_after(failures, 0, None) == MAX_DELAY


def test_a_receiver_may_name_a_longer_delay_within_a_bound() -> None:
    assert delay_after(1, 0, timedelta(minutes=1)) == timedelta(minutes=1)
    assert delay_after(1, 0, timedelta(seconds=1)) == FIRST_DELAY
    assert delay_after(1, 0, timedelta(days=1)) == 2 * MAX_DELAY


def test_a_webhook_receives_the_events_since_its_creation() -> None:
    webhook = make_webhook()
    assert [webhook.wants("paused", at(second)) for second in (9, 10, 11)] == [False, True, True]


def test_a_webhook_receives_only_the_actions_that_it_names() -> None:
    webhook = make_webhook("paused", "completed")
    assert webhook.wants("paused", at(10))
    assert not webhook.wants("paused", at(9))
    assert not webhook.wants("resumed", at(10))


def test_an_event_has_the_same_id_in_each_delivery() -> None:
    assert event_id("r-1", 0) == "r-1-0"


def make_webhook(*actions: str) -> Webhook:
    return Webhook(
        name="ops",
        url="https://ops.example/",
        format=WebhookFormat.CLOUD_EVENTS,
        actions=actions,
        secret=b"s" * 24,
        private_key=b"k" * 32,
        created_at=at(10),
        changed_at=at(10),
    )
