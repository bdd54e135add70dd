"""Register a fleet through the registry's bulk API, with new keys.

Source: REST reference, "Bulk Registry - Update Registry": at most 100 devices in a request.
"""

import asyncio
import base64
import secrets
import ssl
import time
from collections.abc import Iterable
from http import HTTPStatus
from itertools import batched

import aiohttp

from simulator.simulated_fleet.hub_address import HubAddress
from simulator.simulated_fleet.sas import token

_PATH = "/devices?api-version=2021-04-12"
_DEVICES_PER_REQUEST = 100
_KEY_BYTES = 32
_TOKEN_SECONDS = 3600
_MAX_ATTEMPTS = 6
_FIRST_PAUSE_SECONDS = 0.5


class RegistrationError(Exception):
    """The hub cannot be reached, or refuses the devices."""


async def register(
    address: HubAddress, context: ssl.SSLContext, device_ids: Iterable[str]
) -> dict[str, str]:
    """Create the devices, or replace the keys of existing ones; return the keys by device id.

    A key is base64 of 32 random bytes. Raises RegistrationError.
    """
    keys = {device_id: _new_key() for device_id in device_ids}
    expiry = int(time.time()) + _TOKEN_SECONDS
    headers = {"Authorization": token(address.host, address.key, expiry, address.policy)}
    async with aiohttp.ClientSession(headers=headers) as http:
        for batch in batched(keys.items(), _DEVICES_PER_REQUEST, strict=False):
            items = [_item(device_id, key) for device_id, key in batch]
            await _post(http, address.url + _PATH, items, context)
    return keys


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def _item(device_id: str, key: str) -> dict[str, object]:
    authentication = {"type": "sas", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}
    return {
        "id": device_id,
        "importMode": "createOrUpdate",
        "status": "enabled",
        "authentication": authentication,
    }


async def _post(
    http: aiohttp.ClientSession, url: str, items: list[dict[str, object]], context: ssl.SSLContext
) -> None:
    for attempt in range(_MAX_ATTEMPTS):
        try:
            async with http.post(url, json=items, ssl=context) as response:
                status, text = response.status, await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RegistrationError(f"the hub cannot be reached: {error}") from error
        if status == HTTPStatus.OK:
            return
        throttled = status == HTTPStatus.TOO_MANY_REQUESTS
        if not throttled and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            break
        await asyncio.sleep(_FIRST_PAUSE_SECONDS * 2**attempt)
    raise RegistrationError(f"the hub responds with {status} to the registration: {text[:300]}")
