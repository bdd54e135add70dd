"""The body of `PUT /webhooks/{name}`, and webhooks in responses."""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from functions.rollouts.model.audit_trail import Action
from functions.rollouts.model.webhook import Webhook, WebhookFormat
from functions.wire.fields import Time, described_as_text
from functions.wire.parsing import parse_as
from functions.wire.schema import PageSchema, Schema, omitted_if_none
from functions.wire.texts import PackageUri

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of Standard Webhooks
# Standard Webhooks 1.0: between 24 and 64 random bytes.
_SECRET_BYTES = range(24, 65)
_SECRET = r"^whsec_[A-Za-z0-9+/]{32,86}={0,2}$"  # noqa: S105 - a pattern
_EXAMPLES: Mapping[str, Any] = {
    "of some events": {"url": "https://hooks.example/fleet", "actions": ["paused", "failed"]},
}


def decode_secret(text: str) -> bytes:
    """Return the bytes of a secret. Raises ValueError."""
    try:
        value = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if not text.startswith(SECRET_PREFIX) or len(value) not in _SECRET_BYTES:
        raise ValueError("must be whsec_ and the Base64 of 24 to 64 random bytes")
    return value


def encode_secret(secret: bytes) -> str:
    return f"{SECRET_PREFIX}{base64.b64encode(secret).decode()}"


def _check_secret(text: str) -> str:
    decode_secret(text)
    return text


def _check_different(actions: list[Action]) -> list[Action]:
    if len(set(actions)) < len(actions):
        raise ValueError("must name each action once")
    return actions


class WebhookRequestSchema(Schema):
    """Where events are sent, and which."""

    request_name = "WebhookRequest"
    body_examples = _EXAMPLES

    url: PackageUri = Field(description="Responses show its host alone.")
    format: Annotated[
        WebhookFormat | None,
        Field(description="null: by the URL: teams and slack for their hosts, else cloudEvents."),
    ] = None
    actions: Annotated[list[Action], AfterValidator(_check_different)] = Field(
        default=[],
        max_length=50,
        description="Actions of the events to send, as in the audit trail; empty: all.",
        json_schema_extra={"uniqueItems": True},
    )
    secret: Annotated[
        Annotated[str, AfterValidator(_check_secret), described_as_text(_SECRET)] | None,
        Field(description="null: the stored one stays; a new webhook gets one, shown once."),
    ] = None
    rotate_secret: bool = Field(
        default=False,
        description="Whether to make another secret. The earlier one signs too, for a day.",
    )


class FailingSchema(Schema):
    """The last of the deliveries that have failed since the last success."""

    since: Time
    at: Time
    event_id: str
    detail: str


class DisabledSchema(Schema):
    """Why the webhook receives nothing. A PUT enables it again."""

    at: Time
    reason: str


class WebhookSchema(Schema):
    """A webhook; `secret` is in the response that made it, and nowhere else."""

    name: str
    url: str
    format: WebhookFormat
    actions: list[str]
    public_key: str
    created_at: Time
    changed_at: Time
    secret: str | None = omitted_if_none()
    failing: FailingSchema | None = omitted_if_none()
    disabled: DisabledSchema | None = omitted_if_none()

    @classmethod
    def of_webhook(cls, webhook: Webhook, public_key: str, secret: bytes | None = None) -> Self:
        """Return a webhook without its secrets, apart from one that was just made."""
        return cls.of(
            webhook,
            url=shown_url(webhook.url),
            public_key=public_key,
            secret=None if secret is None else encode_secret(secret),
        )


class WebhooksSchema(PageSchema):
    """All webhooks, in the order of their names."""

    value: list[WebhookSchema]


class TestDeliverySchema(Schema):
    """How the test delivery ended; `status` is null if no response came."""

    delivered: bool
    status: int | None
    detail: str


def parse(body: bytes) -> WebhookRequestSchema:
    """Parse the body. Raises TooLargeError, MalformedError, InvalidError."""
    return parse_as(WebhookRequestSchema, body)


def shown_url(url: str) -> str:
    """Return scheme and host; a path may be a secret, as Slack's is."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{'' if parts.path in {'', '/'} and not parts.query else '/***'}"
