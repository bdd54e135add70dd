"""Check what a webhook's message says of the rollout, in each format."""

import json
from dataclasses import replace
from typing import Any

import pytest

from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.wave import Counts
from functions.rollouts.model.webhook import Webhook, WebhookFormat
from functions.use_cases.webhook_messages import Message, Subject, make_message
from tests.functions.builders import NOON, make_rollout, make_wave

PAUSED = make_rollout(
    status=RolloutStatus.PAUSED,
    status_reason=Reason(code="paused", message="Paused by ada: lunch."),
)


EVENT = Event(at=NOON, action="paused", by="ada", message="What happened.")
TEST = Subject(event=EVENT, rollout=None, id="test-1")
APP = "https://rollouts.example"


def message_of(kind: WebhookFormat, subject: Subject, public_url: str | None = None) -> Message:
    webhook = Webhook(
        name="chat",
        url="https://chat.example/hook",
        format=kind,
        secret=b"s" * 32,
        private_key=b"k" * 32,
        created_at=NOON,
        changed_at=NOON,
    )
    return make_message(webhook, subject, NOON, public_url)


def body_of(
    kind: WebhookFormat, rollout: Rollout, action: str, public_url: str | None = None
) -> Any:
    subject = Subject.of(rollout, 3, replace(EVENT, action=action))
    return json.loads(message_of(kind, subject, public_url).body)


def card_of(subject: Subject, public_url: str | None = None) -> Any:
    body = json.loads(message_of(WebhookFormat.TEAMS, subject, public_url).body)
    return body["attachments"][0]["content"]


def runs_of(subject: Subject) -> list[Any]:
    return [run for block in card_of(subject)["body"] for run in block["inlines"]]


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        (WebhookFormat.CLOUD_EVENTS, "application/cloudevents+json; charset=utf-8"),
        (WebhookFormat.TEAMS, "application/json"),
        (WebhookFormat.SLACK, "application/json"),
    ],
)
def test_a_message_has_the_content_type_of_its_format_and_compact_json(
    kind: WebhookFormat, content_type: str
) -> None:
    message = message_of(kind, Subject.of(PAUSED, 3, EVENT))
    assert message.headers["Content-Type"] == content_type
    compact = json.dumps(json.loads(message.body), separators=(",", ":"))
    assert message.body.decode() == compact


@pytest.mark.parametrize(
    ("public_url", "source", "url"),
    [(APP, APP, f"{APP}/rollouts/{PAUSED.id}"), (None, "urn:fleet-rollout", None)],
)
def test_a_cloud_event_links_to_its_rollout_if_the_app_has_a_public_url(
    public_url: str | None, source: str, url: str | None
) -> None:
    body = body_of(WebhookFormat.CLOUD_EVENTS, PAUSED, "paused", public_url)
    assert body["source"] == source
    assert body["data"]["rollout"].get("url") == url


def test_a_soaking_device_counts_as_updating() -> None:
    rollout = make_rollout(make_wave(6, counts=Counts(updating=1, soaking=2, completed=3)))
    shown = body_of(WebhookFormat.CLOUD_EVENTS, rollout, "waveOpened")["data"]["rollout"]
    assert (shown["counts"]["updating"], shown["counts"]["completed"]) == (3, 3)
    chat = body_of(WebhookFormat.SLACK, rollout, "waveOpened")
    assert "is running: 6 total, 3 updating, 3 completed. By ada." in chat["text"]


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


@pytest.mark.parametrize(
    ("action", "color"), [("paused", "attention"), ("failed", "attention"), ("resumed", "default")]
)
def test_a_card_shows_an_event_that_needs_attention_in_its_color(action: str, color: str) -> None:
    runs = runs_of(Subject.of(PAUSED, 3, replace(EVENT, action=action)))
    assert [run.get("color") for run in runs] == [color, None, None]
    assert [run.get("isSubtle") for run in runs] == [None, None, True]


def test_a_card_links_to_its_rollout_if_the_app_has_a_public_url() -> None:
    subject = Subject.of(PAUSED, 3, EVENT)
    (button,) = card_of(subject, APP)["actions"]
    assert button["url"] == f"{APP}/rollouts/{PAUSED.id}"
    assert "actions" not in card_of(subject)


def test_a_test_of_a_webhook_has_no_figures_and_no_link() -> None:
    assert [run["text"] for run in runs_of(TEST)] == ["Fleet Rollout: test", "What happened."]
    assert "actions" not in card_of(TEST, APP)
    slack = json.loads(message_of(WebhookFormat.SLACK, TEST).body)
    assert slack["text"] == "Fleet Rollout: test\nWhat happened."


def test_slack_shows_the_text_as_it_is() -> None:
    subject = Subject.of(PAUSED, 3, replace(EVENT, message="<!channel> a & b :fire:"))
    body = json.loads(message_of(WebhookFormat.SLACK, subject).body)
    assert "&lt;!channel&gt; a &amp; b :fire:" in body["text"]
    (section,) = body["blocks"]
    assert section["text"]["type"] == "plain_text"
    assert section["text"]["emoji"] is False
    assert "<!channel> a & b :fire:" in section["text"]["text"]
