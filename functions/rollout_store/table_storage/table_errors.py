"""Raise this project's errors instead of those of azure-data-tables."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.data.tables import TableErrorCode

from functions.errors import LostRaceError, StorageUnavailableError, TableMissingError
from functions.last_calls import LastCall
from functions.rollout_store.table_storage import keys

_REFUSALS = frozenset({401, 403})
# 404: the row to replace no longer exists; 409: the row exists already; 412: another ETag.
RACE_STATUSES = frozenset({404, 409, 412})
_TABLE_MISSING = (
    f"The table {keys.TABLE} is missing or is being deleted, with all rollouts in it. Nothing is"
    " created instead, not even by a restart. Find out who deleted it. To begin anew without"
    " its rollouts, run `python -m functions.create_table` with the app's settings, or create an"
    " empty table of this name in the storage account."
)
# 409 TableBeingDeleted is no lost race: the table is gone, and a repeat cannot succeed.
_MISSING_CODES = (TableErrorCode.TABLE_NOT_FOUND, TableErrorCode.TABLE_BEING_DELETED)
# The service works, and refuses a row or a transaction for its size.
_TOO_LARGE_CODES = (
    TableErrorCode.ENTITY_TOO_LARGE,
    TableErrorCode.PROPERTY_VALUE_TOO_LARGE,
    TableErrorCode.REQUEST_BODY_TOO_LARGE,
)
LOST_RACE = "Changed by another request; read it again and retry."
NOT_FOUND = 404


@contextmanager
def storage_errors(last_call: LastCall) -> Iterator[None]:
    """Raise this project's errors instead of the SDK's, and record whether the service responded.

    A table that vanished is not created again: an empty one would hide that its rows are lost.
    """
    try:
        yield
        last_call.record(responded=True)
    except HttpResponseError as error:
        is_missing = is_table_missing(error)
        is_response = error.status_code in RACE_STATUSES or _is_too_large(error)
        last_call.record(responded=is_response and not is_missing)
        if is_missing:
            raise TableMissingError(_TABLE_MISSING) from error
        if error.status_code in RACE_STATUSES:
            raise LostRaceError(LOST_RACE) from error
        raise StorageUnavailableError(_describe(error)) from error
    except AzureError as error:
        last_call.record(responded=False)
        raise StorageUnavailableError("Table Storage cannot be reached.") from error


def _describe(error: HttpResponseError) -> str:
    if error.status_code in _REFUSALS:
        return (
            f"Table Storage refuses this app ({error.status_code}). Check its role on the storage"
            " account (Storage Table Data Contributor) or its key, and the account's firewall."
            " Rollouts go on by themselves once it is accepted."
        )
    if _is_too_large(error):
        return (
            "Table Storage refuses a row that is too large: it takes 1 MiB in a row and 64 KiB in a"
            " column. What was stored before is unchanged. A repeat cannot succeed; please report"
            " this as an error of Fleet Rollout."
        )
    if isinstance(error, ClientAuthenticationError):
        return "This app could not sign in to Table Storage."
    return f"Table Storage responded with status {error.status_code}."


def _is_too_large(error: HttpResponseError) -> bool:
    """Return whether a row is refused for its size. Of some errors the SDK reads no code."""
    if getattr(error, "error_code", None) in _TOO_LARGE_CODES:
        return True
    return any(code.value in str(error) for code in _TOO_LARGE_CODES)


def is_table_missing(error: HttpResponseError) -> bool:
    return getattr(error, "error_code", None) in _MISSING_CODES
