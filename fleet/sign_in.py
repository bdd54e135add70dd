"""Sign in with Entra ID: as a pipeline without a secret (federated), or as a person."""

import logging
import os
from functools import cache
from typing import TYPE_CHECKING

from fleet.exit_codes import SignInError, UnreachableError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

# What Entra ID expects in a token of another issuer (workload identity federation).
FEDERATION_AUDIENCE = "api://AzureADTokenExchange"
_SECONDS = 30.0
_NO_LIBRARY = (
    "Signing in with Entra ID needs the package azure-identity beside fleet: pip install"
    " azure-identity, or pipx inject fleet-rollout azure-identity."
)
_WHAT_NEXT = (
    "Sign in with `az login`; or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET; or"
    " run where a managed identity is. Check that the scope is api://<app id>/.default."
)


def entra_token(scope: str) -> str:
    """Return a token for `scope`; it is renewed when it is about to expire.

    Raises SignInError, or UnreachableError if the request for the token was lost.
    """
    try:
        from azure.core.exceptions import AzureError, ClientAuthenticationError
    except ImportError:
        raise SignInError(_NO_LIBRARY) from None
    # Failures end the command with one message; the library logs each of them as well.
    logging.getLogger("azure").setLevel(logging.CRITICAL)
    try:
        return str(_credential().get_token(scope).token)
    except ImportError:
        raise SignInError(_NO_LIBRARY) from None
    except (ClientAuthenticationError, ValueError) as error:
        raise SignInError(f"{_describe(error, scope)} {_WHAT_NEXT}") from None
    except AzureError as error:
        raise UnreachableError(_describe(error, scope)) from None


def _describe(error: Exception, scope: str) -> str:
    first_line = str(error).partition("\n")[0].strip().rstrip(".")
    return f"Entra ID gave no token for {scope}: {first_line}."


@cache
def _credential() -> "TokenCredential":
    """Return the credential of this process. It keeps its tokens, so there is one."""
    from azure.identity import (
        AzurePipelinesCredential,
        ClientAssertionCredential,
        DefaultAzureCredential,
    )

    get = os.environ.get
    client, tenant = get("AZURE_CLIENT_ID"), get("AZURE_TENANT_ID")
    if client and tenant and get("GITHUB_ACTIONS") == "true":
        return ClientAssertionCredential(tenant, client, github_assertion)
    # The task AzureCLI@2 sets these for its service connection.
    connection = get("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID")
    if connection:
        return AzurePipelinesCredential(
            tenant_id=get("AZURESUBSCRIPTION_TENANT_ID", ""),
            client_id=get("AZURESUBSCRIPTION_CLIENT_ID", ""),
            service_connection_id=connection,
            system_access_token=get("SYSTEM_ACCESSTOKEN", ""),
        )
    return DefaultAzureCredential()


def github_assertion() -> str:
    """Return a token of this job, signed by GitHub. Raises SignInError."""
    import httpx

    from fleet.service import make_transport

    address = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    token = os.environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if not address or not token:
        raise SignInError("GitHub signs no token for this job: give it `id-token: write`.")
    try:
        with httpx.Client(transport=make_transport(), timeout=_SECONDS) as client:
            response = client.get(
                httpx.URL(address).copy_merge_params({"audience": FEDERATION_AUDIENCE}),
                headers={"Authorization": f"Bearer {token}"},
            )
            return str(response.raise_for_status().json()["value"])
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise SignInError(f"GitHub gave no token for this job ({status}).") from None
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise SignInError(f"GitHub gave no token for this job: {type(error).__name__}.") from None
