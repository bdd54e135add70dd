"""Connection strings of the local hub, and the key that it accepts by default."""

DEVELOPMENT_KEY = "bG9jYWwtaHViLW9ubHktbm90LWEtc2VjcmV0LWtleSE="
"""The default key of iothubowner on a local hub: public, and valid on no other hub."""


def host_name(address: str) -> str:
    """Return the `HostName` of a hub that listens on `address`, without a port."""
    return "localhost" if address == "127.0.0.1" else address


def service_connection_string(address: str, https_port: int, key: str = DEVELOPMENT_KEY) -> str:
    """Return what a service SDK connects with, as iothubowner."""
    host = f"{host_name(address)}:{https_port}"
    return f"HostName={host};SharedAccessKeyName=iothubowner;SharedAccessKey={key}"


def device_connection_string(address: str, device_id: str, key: str) -> str:
    """Return what a device SDK connects with. It has no port: that SDK accepts none."""
    return f"HostName={host_name(address)};DeviceId={device_id};SharedAccessKey={key}"
