"""Make the SDK's client of a hub, and set what the SDK does not take as arguments."""

from dataclasses import dataclass
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.iot.hub import IoTHubRegistryManager
from requests import Session

from functions.connections import keep_alive
from functions.errors import HubUnavailableError, SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class HubTimeouts:
    """How long calls to the hub may take, in seconds."""

    connect: float = 5
    read: float = 10
    # For the device's response, 5 to 300. A device responds to `firmwareUpdate` before it starts
    # work, so the hub's default is enough.
    method_response: int = 30
    # How long a method may wait for a thread; after that it is not sent, and its device is leased
    # again. This wait, connecting and the response must together be shorter than a claim
    # (`invoking.CLAIM_DURATION`).
    method_start: float = 30

    @property
    def method_call(self) -> tuple[float, float]:
        """Return the times to connect and to wait for the hub's response to a method call."""
        return self.connect, self.method_response + self.read


def make_client(
    source: str, credential: TokenCredential | None, timeouts: HubTimeouts
) -> IoTHubRegistryManager:
    """Make a client from a connection string, or from a host name with a credential.

    Raises SettingsError for an invalid connection string, HubUnavailableError if the credential
    returns no token.
    """
    try:
        if credential:
            client = IoTHubRegistryManager.from_token_credential(source, credential)
        else:
            client = IoTHubRegistryManager.from_connection_string(source)
    except AzureError as error:
        raise HubUnavailableError("This app could not sign in to the IoT Hub.") from error
    except (ValueError, KeyError):
        # Without the cause: the SDK's message may repeat the string, which contains a key.
        raise SettingsError("IOTHUB_CONNECTION_STRING is not a service connection string") from None
    _configure(client.protocol.config, timeouts)
    return client


def _configure(config: Any, timeouts: HubTimeouts) -> None:
    """Set what the SDK does not take as arguments. Tried with its version 2, not documented."""
    # By default the SDK opens a new TLS connection for every call.
    config.keep_alive = True
    config.connection.timeout = (timeouts.connect, timeouts.read)
    # The SDK repeats reads. Two repeats keep the response to an outage under five seconds.
    config.retry_policy.retries = 2
    config.retry_policy.backoff_factor = 0.3
    # A Retry-After of the hub would keep a tick or a request waiting for as long as it says.
    config.retry_policy.policy.respect_retry_after_header = False
    # A TLS failure during a call counts as "other"; its repeat would send a POST twice.
    config.retry_policy.policy.other = 0
    # After the last repeat, return the hub's error response with its status and body.
    config.retry_policy.policy.raise_on_status = False
    config.session_configuration_callback = _configure_session


def _configure_session(session: Session, _config: Any, _local: Any, **options: Any) -> Any:
    """Prepare the thread's session. The SDK calls this before each request."""
    keep_alive(session)
    return options
