"""The hub's errors, with the codes of "Understand Azure IoT Hub error codes" (Microsoft Learn).

HubError            has an ErrorCode; REST and MQTT each render it in their own form
    QueryError      a query that does not parse or is not allowed, with its position
"""

from enum import IntEnum


class ErrorCode(IntEnum):
    """Six digits; the first three are the HTTP status."""

    ARGUMENT_INVALID = 400004
    DESERIALIZATION_ERROR = 400012
    INVALID_CONFIGURATION_TARGET_CONDITION = 400401
    INVALID_CONFIGURATION_CONTENT = 400402
    CANNOT_MODIFY_IMMUTABLE_CONFIGURATION_CONTENT = 400403
    INVALID_CONFIGURATION_CUSTOM_METRICS_QUERY = 400404
    IOT_HUB_UNAUTHORIZED_ACCESS = 401002
    FORBIDDEN = 403000
    IOT_HUB_QUOTA_EXCEEDED = 403002
    DEVICE_MAXIMUM_QUEUE_DEPTH_EXCEEDED = 403004
    DEVICE_MAXIMUM_INFLIGHT_METHOD_EXCEEDED = 403800
    DEVICE_NOT_FOUND = 404001
    JOB_NOT_FOUND = 404002
    MODULE_NOT_FOUND = 404010
    CONFIGURATION_NOT_FOUND = 404301
    DEVICE_NOT_ONLINE = 404103
    DEVICE_CONNECTION_CLOSED_REMOTELY = 404104
    REQUEST_TIMEOUT = 408001
    """Not a code of IoT Hub: a gateway before the service responds so."""
    DEVICE_ALREADY_EXISTS = 409001
    JOB_ALREADY_EXISTS = 409104
    MODULE_ALREADY_EXISTS_ON_DEVICE = 409301
    CONFIGURATION_ALREADY_EXISTS = 409401
    PRECONDITION_FAILED = 412001
    MESSAGE_TOO_LARGE = 413001
    TOO_MANY_MODULES_ON_DEVICE = 413003
    CONFIGURATION_COUNT_LIMIT_EXCEEDED = 413101
    THROTTLING_EXCEPTION = 429001
    THROTTLING_MAX_ACTIVE_JOB_COUNT_EXCEEDED = 429004
    SERVER_ERROR = 500001
    GENERIC_TIMEOUT = 500008
    NOT_EMULATED = 501001
    """Not a code of IoT Hub: the service has the route, this hub does not."""
    NO_SUCH_ROUTE = 404000
    """Not a code of IoT Hub: the route is unknown."""
    SERVICE_UNAVAILABLE = 503001
    SERVER_BUSY = 503005
    GATEWAY_TIMEOUT = 504101

    @property
    def http_status(self) -> int:
        return self.value // 1000

    @property
    def wire_name(self) -> str:
        """Return the name in bodies and in the header `iothub-errorcode`: `DeviceNotFound`."""
        return "".join(word.capitalize() for word in self.name.split("_"))


class HubError(Exception):
    """A refused request. `info` is added to form-B bodies (direct methods)."""

    def __init__(
        self, code: ErrorCode, message: str, *, info: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.info = info or {}
        self.retry_after_seconds: int | None = None


class QueryError(HubError):
    """A refused query; `position` is the first wrong character, 1-based, or None."""

    def __init__(self, message: str, position: int | None = None) -> None:
        where = "" if position is None else f" (at character {position})"
        super().__init__(ErrorCode.ARGUMENT_INVALID, message + where)
        self.position = position


def invalid(message: str) -> HubError:
    """Return a 400 for a value that breaks a documented rule."""
    return HubError(ErrorCode.ARGUMENT_INVALID, message)


def device_not_found(device_id: str) -> HubError:
    return HubError(ErrorCode.DEVICE_NOT_FOUND, f"device {device_id} is not registered")


def module_not_found(device_id: str, module_id: str) -> HubError:
    message = f"device {device_id} has no module {module_id}"
    return HubError(ErrorCode.MODULE_NOT_FOUND, message)
