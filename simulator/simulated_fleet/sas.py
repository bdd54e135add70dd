"""Create shared access signatures, for devices and for the service.

Source: Microsoft Learn, "Control access to IoT Hub with shared access signatures".
"""

import base64
import hashlib
import hmac
from urllib.parse import quote


def token(resource: str, key: str, expiry: int, policy: str | None = None) -> str:
    """Create a token for `resource`, such as `hub/devices/id`.

    `key` is base64, `expiry` is in seconds since 1970; a device has no `policy`.

    Raises ValueError for a key that is not base64.
    """
    signed = quote(resource, safe="")
    secret = base64.b64decode(key, validate=True)
    digest = hmac.digest(secret, f"{signed}\n{expiry}".encode(), hashlib.sha256)
    signature = quote(base64.b64encode(digest), safe="")
    text = f"SharedAccessSignature sr={signed}&sig={signature}&se={expiry}"
    return f"{text}&skn={quote(policy, safe='')}" if policy else text
