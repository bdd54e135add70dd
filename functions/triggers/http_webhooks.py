"""HTTP routes of webhooks."""

import re
from http import HTTPStatus

from azure.functions import HttpRequest, HttpResponse

from functions import wiring
from functions.errors import InvalidError
from functions.rollouts.model.webhook import Webhook
from functions.triggers.address import base_url
from functions.triggers.parameters import PathParameter
from functions.triggers.request_body import read_body
from functions.triggers.responses import json_response
from functions.triggers.route import Route
from functions.use_cases import webhooks
from functions.use_cases.webhook_messages import public_key
from functions.use_cases.webhooks import NewWebhook
from functions.wire import webhook as webhook_wire
from functions.wire.webhook import (
    TestDeliverySchema,
    WebhookRequestSchema,
    WebhookSchema,
    WebhooksSchema,
)

NAME = PathParameter("name", "A webhook's name: 1 to 40 of a-z, 0-9 and -.")
_NAME = re.compile(r"[a-z0-9-]{1,40}")


@Route(
    "PUT",
    "webhooks/{name}",
    summary="Create a webhook, or replace it and enable it again",
    response=WebhookSchema,
    body=WebhookRequestSchema,
    is_body_required=True,
    parameters=(NAME,),
    statuses=(200, 201),
    problems=(400, 409, 411, 413, 415, 422, 503),
)
def set_webhook(request: HttpRequest) -> HttpResponse:
    body, name = webhook_wire.parse(read_body(request)), NAME.read(request)
    if not _NAME.fullmatch(name):
        raise InvalidError("A webhook's name must be 1 to 40 of a-z, 0-9 and -.")
    new = NewWebhook(
        url=body.url,
        format=body.format,
        actions=tuple(body.actions),
        secret=None if body.secret is None else webhook_wire.decode_secret(body.secret),
        rotate_secret=body.rotate_secret,
    )
    found = webhooks.set_webhook(wiring.services(), name, new)
    shown = _show(found.webhook, found.made_secret)
    if not found.is_new:
        return json_response(shown)
    location = {"Location": f"{base_url(request)}/webhooks/{name}"}
    return json_response(shown, HTTPStatus.CREATED, location)


@Route("GET", "webhooks", summary="List the webhooks", response=WebhooksSchema)
def list_webhooks(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - every handler's
    found = webhooks.list_webhooks(wiring.services())
    return json_response(WebhooksSchema.model_construct(value=[_show(item) for item in found]))


@Route(
    "GET",
    "webhooks/{name}",
    summary="Return one webhook, and whether it fails or is disabled",
    response=WebhookSchema,
    parameters=(NAME,),
    problems=(404, 503),
)
def get_webhook(request: HttpRequest) -> HttpResponse:
    return json_response(_show(webhooks.get_webhook(wiring.services(), NAME.read(request))))


@Route(
    "DELETE",
    "webhooks/{name}",
    summary="Delete a webhook; what it has not received is not sent",
    response=WebhookSchema,
    parameters=(NAME,),
    problems=(404, 409, 503),
)
def delete_webhook(request: HttpRequest) -> HttpResponse:
    services, name = wiring.services(), NAME.read(request)
    shown = _show(webhooks.get_webhook(services, name))
    webhooks.delete_webhook(services, name)
    return json_response(shown)


@Route(
    "POST",
    "webhooks/{name}/test",
    summary="Send a test event at once, and return how that ended",
    response=TestDeliverySchema,
    parameters=(NAME,),
    problems=(404, 503),
)
def send_test(request: HttpRequest) -> HttpResponse:
    outcome = webhooks.send_test(wiring.services(), NAME.read(request))
    body = TestDeliverySchema.of(outcome, delivered=outcome.is_success)
    return json_response(body)


def _show(webhook: Webhook, secret: bytes | None = None) -> WebhookSchema:
    return WebhookSchema.of_webhook(webhook, public_key(webhook), secret)
