"""Make the requests that deliver events: the body by the webhook's format, and the signature.

CloudEvents 1.0 (JSON, structured mode) and Standard Webhooks 1.0. Teams and Slack take messages of
their own kind; they ignore the signature.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.next_step import next_step
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.shown_reason import shown_reason
from functions.rollouts.model.webhook import Webhook, WebhookFormat, event_id

SOURCE = "urn:fleet-rollout"
TYPE_PREFIX = "fleet-rollout.rollout."
TEST_TYPE = "fleet-rollout.webhook.test"
TEST_ACTION = "test"
# Slack refuses longer text in a section; Teams refuses messages over 28 KB.
MAX_TEXT_CHARACTERS = 2_500
# Actions that need attention.
_ATTENTION = frozenset({"paused", "failed", "cancelled", "outageBegan", "rollbackImpossible"})


@dataclass(frozen=True, slots=True)
class Message:
    """One request to a webhook."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An event, and the rollout as it is when the event is sent; None: a test."""

    event: Event
    rollout: Rollout | None
    number: int = 0  # of the event in its rollout, from 0
    id: str

    @classmethod
    def of(cls, rollout: Rollout, number: int, event: Event) -> "Subject":
        """Return an event of a rollout."""
        return cls(event=event, number=number, rollout=rollout, id=event_id(rollout.id, number))


def make_message(
    webhook: Webhook, subject: Subject, now: datetime, public_url: str | None
) -> Message:
    """Return the signed request that delivers an event."""
    body = json.dumps(_BODIES[webhook.format](subject, public_url), separators=(",", ":")).encode()
    is_cloud_event = webhook.format is WebhookFormat.CLOUD_EVENTS
    kind = "application/cloudevents+json; charset=utf-8" if is_cloud_event else "application/json"
    timestamp = str(int(now.timestamp()))
    headers = {
        "Content-Type": kind,
        "webhook-id": subject.id,
        "webhook-timestamp": timestamp,
        "webhook-signature": sign(webhook, now, f"{subject.id}.{timestamp}.".encode() + body),
    }
    return Message(headers, body)


def sign(webhook: Webhook, now: datetime, content: bytes) -> str:
    """Return the signatures of a message, separated by spaces."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - slow to import
        Ed25519PrivateKey,
    )

    secrets = [webhook.secret]
    if webhook.earlier_secret and webhook.earlier_until and now < webhook.earlier_until:
        secrets.append(webhook.earlier_secret)
    digests = [hmac.digest(secret, content, hashlib.sha256) for secret in secrets]
    asymmetric = Ed25519PrivateKey.from_private_bytes(webhook.private_key).sign(content)
    return " ".join(
        [*(f"v1,{_base64(digest)}" for digest in digests), f"v1a,{_base64(asymmetric)}"]
    )


def public_key(webhook: Webhook) -> str:
    """Return the key that verifies `v1a`, in the form of Standard Webhooks."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - slow to import
        Ed25519PrivateKey,
    )

    key = Ed25519PrivateKey.from_private_bytes(webhook.private_key).public_key()
    return f"whpk_{_base64(key.public_bytes_raw())}"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _cloud_event(subject: Subject, public_url: str | None) -> dict[str, Any]:
    rollout, event = subject.rollout, subject.event
    data = {"action": event.action, "by": event.by, "message": event.message}
    common = {
        "specversion": "1.0",
        "id": subject.id,
        "source": public_url or SOURCE,
        "time": event.at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
    }
    if rollout is None:
        return {**common, "type": TEST_TYPE, "data": data}
    return {
        **common,
        "type": f"{TYPE_PREFIX}{event.action}",
        "subject": f"rollouts/{rollout.id}",
        "sequence": f"{subject.number:08d}",
        "data": {**data, "rollout": _rollout(rollout, public_url)},
    }


def _rollout(rollout: Rollout, public_url: str | None) -> dict[str, Any]:
    reason = shown_reason(rollout)
    return {
        "id": rollout.id,
        "revision": rollout.revision,
        "status": rollout.status.value,
        "statusReason": {"code": reason.code, "message": reason.message} if reason else None,
        "firmwareVersion": rollout.firmware.version,
        "labels": dict(rollout.definition.labels),
        "counts": _counts(rollout),
        **({"url": f"{public_url}/rollouts/{rollout.id}"} if public_url else {}),
    }


def _counts(rollout: Rollout) -> dict[str, int]:
    counts = rollout.counts
    return {
        "total": counts.total,
        "queued": counts.queued,
        "updating": counts.updating + counts.soaking,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "skipped": counts.skipped,
    }


def _lines(subject: Subject) -> tuple[str, str, str]:
    """Return a title, the event's message and a line of figures, for people."""
    rollout, event = subject.rollout, subject.event
    message = event.message[:MAX_TEXT_CHARACTERS]
    if rollout is None:
        return "Fleet Rollout: test", message, ""
    shown = ", ".join(f"{number} {name}" for name, number in _counts(rollout).items() if number)
    figures = f"Rollout {rollout.id} is {rollout.status}: {shown}. By {event.by}."
    reason = rollout.status_reason
    step = next_step(rollout, reason.code) if reason and event.action in _ATTENTION else None
    if step is not None:
        figures = f"{figures} {step}"
    return f"Firmware {rollout.firmware.version}: {event.action}", message, figures


def _teams(subject: Subject, public_url: str | None) -> dict[str, Any]:
    """Return a message with an Adaptive Card. Text runs show text as it is, without Markdown."""
    title, message, figures = _lines(subject)
    color = "attention" if subject.event.action in _ATTENTION else "default"
    runs = [
        {"type": "TextRun", "text": title, "weight": "bolder", "size": "medium", "color": color},
        {"type": "TextRun", "text": message},
        *([{"type": "TextRun", "text": figures, "isSubtle": True}] if figures else []),
    ]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": f"{title}. {message}",
        "body": [{"type": "RichTextBlock", "inlines": [run]} for run in runs],
    }
    if subject.rollout is not None and public_url:
        url = f"{public_url}/rollouts/{subject.rollout.id}"
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": url}]
    content_type = "application/vnd.microsoft.card.adaptive"
    attachment = {"contentType": content_type, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _slack(subject: Subject, public_url: str | None) -> dict[str, Any]:  # noqa: ARG001 - as others
    """Return a message in plain text, which notifies no user by name."""
    title, message, figures = _lines(subject)
    text = "\n".join(filter(None, [title, message, figures]))
    section = {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": escaped, "blocks": [section]}


_BODIES = {
    WebhookFormat.CLOUD_EVENTS: _cloud_event,
    WebhookFormat.TEAMS: _teams,
    WebhookFormat.SLACK: _slack,
}
