"""Refuse a list of device ids that names a device twice."""

from collections.abc import Iterator, Sequence

from functions.errors import MAX_FIELD_ERRORS, FieldError, InvalidError


def refuse_repeated_devices(device_ids: Sequence[str], pointer: str) -> None:
    """Raise InvalidError if a device is listed more than once. `pointer` is the list's."""
    repeated = list(_find_repeated(device_ids, pointer))
    if repeated:
        message = "A device is listed more than once; list each device once."
        raise InvalidError(message, repeated[:MAX_FIELD_ERRORS])


def _find_repeated(device_ids: Sequence[str], pointer: str) -> Iterator[FieldError]:
    indexes: dict[str, int] = {}
    for index, device_id in enumerate(device_ids):
        first = indexes.setdefault(device_id, index)
        if first != index:
            detail = f"{device_id!r} is already listed at index {first}"
            yield FieldError(f"{pointer}/{index}", detail)
