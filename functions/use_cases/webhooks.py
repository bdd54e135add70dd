"""Set, read, delete and test webhooks. A secret is returned once, when it is made here."""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from functions.errors import (
    ConflictError,
    FieldError,
    InvalidError,
    LostRaceError,
    UnavailableError,
    UnknownError,
)
from functions.outbound.port import AddressError, Outcome
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.webhook import SECRET_OVERLAP, Webhook, WebhookFormat
from functions.use_cases import event_feed
from functions.use_cases.deliver import send
from functions.use_cases.services import Services
from functions.use_cases.webhook_messages import TEST_ACTION, Subject
from functions.use_cases.webhook_ports import WebhookPorts

MAX_WEBHOOKS = 20
SECRET_BYTES = 32
MAX_ATTEMPTS = 10
_TEAMS_HOSTS = (".logic.azure.com", ".webhook.office.com", ".environment.api.powerplatform.com")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWebhook:
    """What a caller requests."""

    url: str
    format: WebhookFormat | None = None  # None: by the URL
    actions: tuple[str, ...] = ()  # empty: all
    secret: bytes | None = None  # None: the stored one stays, or one is made
    rotate_secret: bool = False  # make another secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWebhook:
    """A webhook as it is stored now."""

    webhook: Webhook
    made_secret: bytes | None  # to be shown once; None: the caller has it
    is_new: bool


def format_of(url: str) -> WebhookFormat:
    """Return the format that the service behind a URL takes."""
    host = (urlsplit(url).hostname or "").lower()
    if host in {"hooks.slack.com", "hooks.slack-gov.com"}:
        return WebhookFormat.SLACK
    return WebhookFormat.TEAMS if host.endswith(_TEAMS_HOSTS) else WebhookFormat.CLOUD_EVENTS


def set_webhook(services: Services, name: str, new: NewWebhook) -> SetWebhook:
    """Create a webhook, or replace and enable the one with this name.

    Raises InvalidError (the app may not dial its address), ConflictError (too many),
    StorageUnavailableError.
    """
    try:
        _ports(services).outbound.check(new.url)
    except AddressError as error:
        raise InvalidError(
            "The webhook's URL cannot be used.", [FieldError("/url", str(error))]
        ) from None
    for _ in range(MAX_ATTEMPTS):
        stored = services.stores.webhooks.get(name)
        before = stored.record if stored else None
        if before is None:
            _refuse_too_many(list_webhooks(services))
        made = _make_secret(new, before)
        webhook = _replace(services, name, new, before, made)
        try:
            services.stores.webhooks.save(webhook, stored.version if stored else None)
        except LostRaceError:
            continue
        _learn(services)
        return SetWebhook(webhook=webhook, made_secret=made, is_new=before is None)
    raise LostRaceError(f"The webhook was changed by other requests {MAX_ATTEMPTS} times in a row.")


def list_webhooks(services: Services) -> Sequence[Webhook]:
    """List the webhooks in the order of their names. Raises StorageUnavailableError."""
    return services.stores.webhooks.read_controls().webhooks


def get_webhook(services: Services, name: str) -> Webhook:
    """Return one webhook. Raises UnknownError, StorageUnavailableError."""
    stored = services.stores.webhooks.get(name)
    if stored is None:
        raise UnknownError(f"No webhook has the name {name[:64]!r}.")
    return stored.record


def delete_webhook(services: Services, name: str) -> None:
    """Delete a webhook; what it has not received is not sent any more.

    Raises UnknownError, LostRaceError, StorageUnavailableError.
    """
    for _ in range(MAX_ATTEMPTS):
        stored = services.stores.webhooks.get(name)
        if stored is None:
            raise UnknownError(f"No webhook has the name {name[:64]!r}.")
        try:
            services.stores.webhooks.delete(name, stored.version)
        except LostRaceError:
            continue
        services.feed.learn(list_webhooks(services))
        return
    raise LostRaceError(f"The webhook was changed by other requests {MAX_ATTEMPTS} times in a row.")


def send_test(services: Services, name: str) -> Outcome:
    """Send a test event at once, also to a disabled webhook. Raises as `get_webhook`."""
    webhook, now = get_webhook(services, name), services.clock()
    event = Event(at=now, action=TEST_ACTION, by="api", message="A test of this webhook.")
    subject = Subject(event=event, rollout=None, id=f"test-{secrets.token_hex(8)}")
    return send(services, _ports(services), webhook, subject)


def _ports(services: Services) -> WebhookPorts:
    if services.webhooks is None:
        raise UnavailableError("This app delivers to no webhooks.")
    return services.webhooks


def _refuse_too_many(webhooks: Sequence[Webhook]) -> None:
    if len(webhooks) >= MAX_WEBHOOKS:
        raise ConflictError(f"There are {MAX_WEBHOOKS} webhooks already; delete one first.")


def _make_secret(new: NewWebhook, before: Webhook | None) -> bytes | None:
    needs_one = new.secret is None and (before is None or new.rotate_secret)
    return secrets.token_bytes(SECRET_BYTES) if needs_one else None


def _replace(
    services: Services, name: str, new: NewWebhook, before: Webhook | None, made: bytes | None
) -> Webhook:
    now = services.clock()
    secret = new.secret or made
    if before is None:
        before = Webhook(
            name=name,
            url=new.url,
            format=format_of(new.url),
            secret=secret or secrets.token_bytes(SECRET_BYTES),
            private_key=secrets.token_bytes(32),
            created_at=now,
            changed_at=now,
        )
    after = replace(
        before,
        url=new.url,
        format=new.format or format_of(new.url),
        actions=new.actions,
        changed_at=now,
        disabled=None,
        failing=None,
    )
    if secret is None or secret == before.secret:
        return after
    until = now + SECRET_OVERLAP
    return replace(after, secret=secret, earlier_secret=before.secret, earlier_until=until)


def _learn(services: Services) -> None:
    """Let this process know the webhooks, and queue what a disabled one has not received."""
    services.feed.learn(list_webhooks(services))
    try:
        event_feed.sweep(services)
    except UnavailableError:
        _log.exception("the webhook is stored; a later sweep queues what it has not received")
