"""A device's connection to its hub, on the azure-iot-device SDK.

Every call waits until the hub has answered, however often the connection is lost. Three things
the SDK leaves to its caller:

- A twin operation whose answer is lost waits forever (`OpTimeoutStage` covers subscriptions
  only), so each one is sent again after a time. Reports are merge patches of absolute values:
  applied twice, they say the same.
- Its own reconnecting gives up for good when the hub refuses the credentials, and comes back
  after 10 ms when another client has taken the same device id. It is switched off here, and
  reconnecting waits longer from try to try, with jitter.
- Cancelling one of its calls makes it set the result of a cancelled future later. A call is
  therefore left to itself, never cancelled, when its time is over.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from azure.iot.device import X509, MethodRequest
from azure.iot.device import MethodResponse as SdkMethodResponse
from azure.iot.device import exceptions as sdk
from azure.iot.device.aio import IoTHubDeviceClient

from device_agent.credentials import Credentials
from device_agent.stages import MethodResponse, Report
from device_agent.update import Json

logger = logging.getLogger(__name__)

RESPONSE_TIMEOUT_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 30.0
SHUTDOWN_TIMEOUT_SECONDS = 5.0

HUB_ERRORS = (
    sdk.ClientError,
    sdk.OperationCancelled,
    sdk.OperationTimeout,
    sdk.ServiceError,
)

type OnMethod = Callable[[str, object], MethodResponse | None]


class HubConnection:
    """One device's connection, to be used on one event loop."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        response_timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS,
    ) -> None:
        """Nothing is dialled yet. Raises ValueError for a key that is not base64."""
        options: dict[str, Any] = {"connection_retry": False}
        if credentials.ca is not None:
            options["server_verification_cert"] = credentials.ca
        self._client = _client(credentials, options)
        self._device_id = credentials.identity.device_id
        self._answer_timeout_seconds = response_timeout_seconds
        self._calls: set[asyncio.Task[Any]] = set()
        self._opening = asyncio.Lock()
        self._on_method: OnMethod | None = None
        self._unanswered: list[MethodRequest] = []

    async def ensure_open(self) -> None:
        """Return once connected: at once, or after as many tries as it takes."""
        async with self._opening:
            if self._client.connected:
                return
            await self._until_answered("connecting", self._client.connect)
            logger.info("%s connected", self._device_id)

    async def keep_open(self) -> None:
        """Be connected again whenever the connection is lost, until cancelled."""
        lost = asyncio.Event()
        await self.on_change(lost.set)
        while True:
            await self.ensure_open()
            await lost.wait()
            lost.clear()

    async def read_reported_properties(self) -> Json:
        """The reported part of the device's twin."""
        twin = await self._when_open("reading the twin", self._client.get_twin)
        reported: Json = twin.get("reported", {})
        return reported

    async def send_report(self, report: Report) -> None:
        """Merge the report's patch into the reported properties."""
        logger.info("%s %s", self._device_id, report)
        patch = report.patch
        await self._when_open(
            "reporting", lambda: self._client.patch_twin_reported_properties(patch)
        )

    async def handle_methods(self, on_method: OnMethod) -> None:
        """From now on, answer every direct method with what `on_method` gives.

        None is for a device that dies before it answers. `on_method` gets the method's name and
        payload, on this event loop.
        """
        loop = asyncio.get_running_loop()
        self._on_method = on_method
        unanswered, self._unanswered = self._unanswered, []
        for request in unanswered:
            self._answer(request)

        async def take(request: MethodRequest) -> None:  # on a loop of the SDK's
            loop.call_soon_threadsafe(self._answer, request)

        # The setter blocks until the hub has confirmed the subscription.
        await self._when_open(
            "subscribing to methods",
            lambda: asyncio.to_thread(setattr, self._client, "on_method_request_received", take),
        )

    async def on_change(self, wake: Callable[[], None]) -> None:
        """Call `wake` on this event loop whenever the connection comes or goes."""
        loop = asyncio.get_running_loop()

        async def changed() -> None:  # on a loop of the SDK's
            loop.call_soon_threadsafe(wake)

        # Called without arguments, though the SDK annotates one.
        self._client.on_connection_state_change = changed  # type: ignore[assignment]

    async def close(self) -> None:
        """Leave the hub for good; calls that still wait for an answer are given up."""
        await self._end(self._client.shutdown)

    async def leave(self) -> None:
        """Leave the hub, as a device does that restarts; it may come back.

        A new client in each life would be a leak: the SDK's MQTT client keeps two sockets of its
        own open until it is collected. Methods that come before the next `handle_methods` wait.
        """
        self._on_method = None
        await self._end(self._client.disconnect)

    async def _end(self, how: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await _within(SHUTDOWN_TIMEOUT_SECONDS, self._started(how()))
        except HUB_ERRORS as error:
            logger.info("%s left without a farewell: %s", self._device_id, error)
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _answer(self, request: MethodRequest) -> None:
        if self._on_method is None:  # connected again, and not yet ready to answer
            self._unanswered.append(request)
            return
        answer = self._on_method(request.name, request.payload)
        if answer is None:
            return
        logger.info("%s responds to %s with %s", self._device_id, request.name, answer)
        response = SdkMethodResponse.create_from_method_request(
            request, answer.status, dict(answer.payload)
        )
        self._started(self._client.send_method_response(response))

    async def _when_open[T](self, what: str, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async def opened_call() -> T:
            await self.ensure_open()
            return await _within(self._answer_timeout_seconds, self._started(call()))

        return await self._retried(what, opened_call)

    async def _until_answered[T](self, what: str, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await self._retried(
            what, lambda: _within(self._answer_timeout_seconds, self._started(call()))
        )

    async def _retried[T](self, what: str, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        for pause in _backoff_seconds():
            try:
                return await call()
            except HUB_ERRORS as error:
                reason = error
            logger.info("%s %s failed (%s), again in %.1f s", self._device_id, what, reason, pause)
            await asyncio.sleep(pause)
        raise AssertionError("the pauses have no end")

    def _started[T](self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # A call that nobody waits for any more must not warn of its error.


def _client(credentials: Credentials, options: dict[str, Any]) -> IoTHubDeviceClient:
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


async def _within[T](seconds: float, call: asyncio.Task[T]) -> T:
    done, _ = await asyncio.wait({call}, timeout=seconds)
    if not done:
        raise sdk.OperationTimeout(f"no answer within {seconds:g} s")
    return call.result()


def _backoff_seconds() -> Iterator[float]:
    """Exponential back-off in seconds, each pause cut at random by up to one half."""
    longest = FIRST_PAUSE_SECONDS
    while True:
        yield longest * random.uniform(0.5, 1)
        longest = min(2 * longest, MAX_PAUSE_SECONDS)
