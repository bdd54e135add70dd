"""Check what a webhook's message says of the rollout, in each format."""

import json
from typing import Any

import pytest

from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.webhook import Webhook, WebhookFormat
from functions.use_cases.webhook_messages import Subject, make_message
from tests.functions.builders import NOON, make_rollout

PAUSED = make_rollout(
    status=RolloutStatus.PAUSED,
    status_reason=Reason(code="paused", message="Paused by ada: lunch."),
)


def body_of(kind: WebhookFormat, rollout: Rollout, action: str) -> Any:
    webhook = Webhook(
        name="chat",
        url="https://chat.example/hook",
        format=kind,
        secret=b"s" * 32,
        private_key=b"k" * 32,
        created_at=NOON,
        changed_at=NOON,
    )
    event = Event(at=NOON, action=action, by="ada", message="What happened.")
    return json.loads(make_message(webhook, Subject.of(rollout, 3, event), NOON, None).body)


def test_a_cloud_event_has_the_reason_of_the_rollout() -> None:
    shown = body_of(WebhookFormat.CLOUD_EVENTS, PAUSED, "paused")["data"]["rollout"]
    assert shown["statusReason"]["code"] == "paused"
    assert shown["statusReason"]["message"].startswith("Paused by ada: lunch.")


def test_a_cloud_event_of_a_rollout_without_a_reason_has_null() -> None:
    shown = body_of(WebhookFormat.CLOUD_EVENTS, make_rollout(), "waveOpened")["data"]["rollout"]
    assert shown["statusReason"] is None
    assert "url" not in shown


@pytest.mark.parametrize("kind", [WebhookFormat.TEAMS, WebhookFormat.SLACK])
@pytest.mark.parametrize(
    ("rollout", "action", "has_step"),
    [
        (PAUSED, "paused", True),
        (PAUSED, "waveCompleted", False),
        (make_rollout(), "paused", False),
        (make_rollout(), "waveOpened", False),
    ],
)
def test_a_chat_says_what_to_do_next_if_an_event_needs_attention(
    kind: WebhookFormat, rollout: Rollout, action: str, has_step: bool
) -> None:
    assert ("Next: fleet resume" in json.dumps(body_of(kind, rollout, action))) is has_step
