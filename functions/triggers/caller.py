"""Find out who sends a request.

App Service authentication adds headers about the signed-in principal (Microsoft Learn, "Work with
user identities in Azure App Service authentication"). While it is off, any caller can send them,
so they are read only if `ROLLOUT_TRUST_EASY_AUTH` says that it is on. The Functions host does not
tell a Python function which key a request had.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from azure.functions import HttpRequest

from functions.rollouts.model.identity import API, ITSELF, Identity, IdentityKind
from functions.settings.environment import read_trust_easy_auth

PRINCIPAL = "x-ms-client-principal"
PRINCIPAL_ID = "x-ms-client-principal-id"
PRINCIPAL_NAME = "x-ms-client-principal-name"
MAX_CHARACTERS = 128
# Claims of version 1 and 2 tokens of Entra, and the long names that App Service gives some.
_SCHEMAS = "http://schemas.microsoft.com/identity/claims"
_ID_CLAIMS = ("oid", f"{_SCHEMAS}/objectidentifier")
_NAME_CLAIMS = (
    "preferred_username",
    "upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    "name",
)
_APP_CLAIMS = ("appid", "azp")


def identify(request: HttpRequest, said: str | None = None) -> Identity:
    """Return the signed-in principal, else the name that the caller `said`, else `api`.

    Raises SettingsError.
    """
    principal = _read_principal(request.headers) if read_trust_easy_auth() else None
    if principal is not None:
        return principal
    name = _clean(said)
    if name is None:
        return API
    return Identity(kind=IdentityKind.API, name=_differ_from_itself(name))


def _read_principal(headers: Mapping[str, str]) -> Identity | None:
    """Return the principal in the headers; the token of an application has no name."""
    claims = _read_claims(headers.get(PRINCIPAL))
    object_id = _clean(headers.get(PRINCIPAL_ID)) or _first(claims, _ID_CLAIMS)
    app_id = _first(claims, _APP_CLAIMS)
    name = _clean(headers.get(PRINCIPAL_NAME)) or _first(claims, _NAME_CLAIMS)
    shown = name or app_id or object_id
    if shown is None:
        return None
    name = _differ_from_itself(shown)
    return Identity(kind=IdentityKind.PRINCIPAL, id=object_id, name=name, app_id=app_id)


def _differ_from_itself(name: str) -> str:
    """Return a name that the audit trail cannot confuse with the app itself."""
    return f"{API.name} ({name})" if name.casefold() == ITSELF.name else name


def _read_claims(text: str | None) -> Mapping[str, str]:
    """Return the claims in Base64 JSON by type; none if the text cannot be read."""
    try:
        decoded: Any = json.loads(base64.b64decode(text or "", validate=False))
        claims = decoded["claims"]
        return {item["typ"]: item["val"] for item in reversed(claims)}
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _first(claims: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((text for name in names if (text := _clean(claims.get(name)))), None)


def _clean(text: Any) -> str | None:
    """Return the printable part of a text, at most MAX_CHARACTERS; None if nothing is left."""
    if not isinstance(text, str):
        return None
    return "".join(filter(str.isprintable, text)).strip()[:MAX_CHARACTERS] or None
