"""Connect a device to IoT Hub with the azure-iot-device SDK.

Every call waits until the hub has responded, however often the connection is lost. Three things
are done here because the SDK leaves them to its caller:

- A twin operation whose response is lost waits for ever (`OpTimeoutStage` covers subscriptions
  only), so each operation is sent again after a timeout. Reports are merge patches of absolute
  values: applying one twice changes nothing.
- The SDK's own reconnecting stops when the hub refuses the credentials, and reconnects after 10 ms
  when another client has taken the same device id. It is switched off; the pauses here grow from
  attempt to attempt and have jitter.
- Cancelling a call makes the SDK set the result of a cancelled future later. A call that times out
  is therefore left running, never cancelled.
"""

import asyncio
import logging
import os
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from azure.iot.device import X509, MethodRequest, ProxyOptions
from azure.iot.device import MethodResponse as SdkMethodResponse
from azure.iot.device import exceptions as sdk
from azure.iot.device.aio import IoTHubDeviceClient

from device_agent.credentials import Credentials
from device_agent.json_types import JsonObject
from device_agent.proxies import Proxies, Proxy
from device_agent.stages import MethodResponse, Report

logger = logging.getLogger(__name__)

# Well above a round trip to a hub under load.
RESPONSE_TIMEOUT_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 30.0
SHUTDOWN_TIMEOUT_SECONDS = 5.0
_WEB_SOCKET_PORT = 443

HUB_ERRORS = (
    sdk.ClientError,
    sdk.OperationCancelled,
    sdk.OperationTimeout,
    sdk.ServiceError,
)

type OnMethod = Callable[[str, object], MethodResponse | None]


class HubConnection:
    """The connection of one device; use it on one event loop."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        response_timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS,
        proxies: Proxies | None = None,
    ) -> None:
        """Create the client without connecting; `proxies` None means those of the environment.

        Raises ValueError for a key that is not base64, and ProxyError.
        """
        proxies = Proxies.from_environment(os.environ) if proxies is None else proxies
        proxy = proxies.find("https", credentials.identity.dialled_host, _WEB_SOCKET_PORT)
        options: dict[str, Any] = {"connection_retry": False} | _proxy_options(proxy)
        if credentials.ca is not None:
            options["server_verification_cert"] = credentials.ca
        self._client = _create_client(credentials, options)
        self._device_id = credentials.identity.device_id
        self._response_timeout_seconds = response_timeout_seconds
        self._calls: set[asyncio.Task[Any]] = set()
        self._opening = asyncio.Lock()
        self._on_method: OnMethod | None = None
        self._pending_methods: list[MethodRequest] = []

    async def ensure_open(self) -> None:
        """Return once connected, after as many attempts as needed."""
        async with self._opening:
            if self._client.connected:
                return
            await self._retry_until_done("connecting", self._client.connect)
            logger.info("%s connected", self._device_id)

    async def keep_open(self) -> None:
        """Reconnect whenever the connection is lost, until cancelled."""
        lost = asyncio.Event()
        await self.on_change(lost.set)
        while True:
            await self.ensure_open()
            await lost.wait()
            lost.clear()

    async def read_reported_properties(self) -> JsonObject:
        """Read the reported properties of the device's twin."""
        twin = await self._retry_when_open("reading the twin", self._client.get_twin)
        reported: JsonObject = twin.get("reported", {})
        return reported

    async def send_report(self, report: Report) -> None:
        """Merge the report's patch into the reported properties."""
        logger.info("%s %s", self._device_id, report)
        patch = report.patch
        await self._retry_when_open(
            "reporting", lambda: self._client.patch_twin_reported_properties(patch)
        )

    async def handle_methods(self, on_method: OnMethod) -> None:
        """Respond to every direct method from now on with what `on_method` returns.

        `on_method` gets the method's name and payload, on this event loop. It returns None if the
        device stops before it responds.
        """
        loop = asyncio.get_running_loop()
        self._on_method = on_method
        pending, self._pending_methods = self._pending_methods, []
        for request in pending:
            self._respond(request)

        async def take(request: MethodRequest) -> None:  # on a loop of the SDK's
            loop.call_soon_threadsafe(self._respond, request)

        # The setter blocks until the hub has confirmed the subscription.
        await self._retry_when_open(
            "subscribing to methods",
            lambda: asyncio.to_thread(setattr, self._client, "on_method_request_received", take),
        )

    async def on_change(self, wake: Callable[[], None]) -> None:
        """Call `wake` on this event loop whenever the connection opens or closes."""
        loop = asyncio.get_running_loop()

        async def changed() -> None:  # on a loop of the SDK's
            loop.call_soon_threadsafe(wake)

        # Called without arguments, though the SDK annotates one.
        self._client.on_connection_state_change = changed  # type: ignore[assignment]

    async def close(self) -> None:
        """Close the connection; abandon calls that still wait for a response."""
        await self._end(self._client.shutdown)

    async def disconnect(self) -> None:
        """Disconnect while the device restarts; `ensure_open` connects again.

        A new client for each start would be a leak: the SDK's MQTT client keeps two sockets open
        until it is collected. Methods that arrive before the next `handle_methods` wait.
        """
        self._on_method = None
        await self._end(self._client.disconnect)

    async def _end(self, how: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await _wait_for(SHUTDOWN_TIMEOUT_SECONDS, self._start(how()))
        except HUB_ERRORS as error:
            logger.info(
                "%s disconnected without the hub's confirmation: %s", self._device_id, error
            )
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _respond(self, request: MethodRequest) -> None:
        if self._on_method is None:  # connected again, and not ready yet
            self._pending_methods.append(request)
            return
        response = self._on_method(request.name, request.payload)
        if response is None:
            return
        logger.info("%s responds to %s with %s", self._device_id, request.name, response)
        sent = SdkMethodResponse.create_from_method_request(
            request, response.status, dict(response.payload)
        )
        self._start(self._client.send_method_response(sent))

    async def _retry_when_open[T](self, what: str, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async def call_when_open() -> T:
            await self.ensure_open()
            return await _wait_for(self._response_timeout_seconds, self._start(call()))

        return await self._retry(what, call_when_open)

    async def _retry_until_done[T](
        self, what: str, call: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        return await self._retry(
            what, lambda: _wait_for(self._response_timeout_seconds, self._start(call()))
        )

    async def _retry[T](self, what: str, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        for pause in _backoff_seconds():
            try:
                return await call()
            except HUB_ERRORS as error:
                reason = error
            logger.info("%s %s failed (%s), again in %.1f s", self._device_id, what, reason, pause)
            await asyncio.sleep(pause)
        raise AssertionError("_backoff_seconds never ends")

    def _start[T](self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # avoids the warning of an error that is never retrieved


def _create_client(credentials: Credentials, options: dict[str, Any]) -> IoTHubDeviceClient:
    certificate, device = credentials.certificate, credentials.identity
    if certificate is None:
        text = credentials.connection_string
        return IoTHubDeviceClient.create_from_connection_string(text, **options)
    if device.dialled_host != device.host_name:
        options = {**options, "gateway_hostname": device.dialled_host}
    files = X509(  # type: ignore[no-untyped-call]
        cert_file=str(certificate.certificate_file),
        key_file=str(certificate.key_file),
        pass_phrase=certificate.passphrase,
    )
    return IoTHubDeviceClient.create_from_x509_certificate(
        x509=files, hostname=device.host_name, device_id=device.device_id, **options
    )


def _proxy_options(proxy: Proxy | None) -> dict[str, Any]:
    """Return the client's options: a proxy passes MQTT over WebSocket on, and not port 8883."""
    if proxy is None:
        return {}
    options = ProxyOptions(  # type: ignore[no-untyped-call]
        "HTTP", proxy.host, proxy.port, proxy.user, proxy.password
    )
    return {"websockets": True, "proxy_options": options}


async def _wait_for[T](seconds: float, call: asyncio.Task[T]) -> T:
    done, _ = await asyncio.wait({call}, timeout=seconds)
    if not done:
        raise sdk.OperationTimeout(f"no response within {seconds:g} s")
    return call.result()


def _backoff_seconds() -> Iterator[float]:
    """Yield pauses that grow exponentially, each reduced at random by up to one half."""
    longest = FIRST_PAUSE_SECONDS
    while True:
        yield longest * random.uniform(0.5, 1)
        longest = min(2 * longest, MAX_PAUSE_SECONDS)
