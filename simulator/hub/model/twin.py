"""The device twin, an immutable value: every write creates a new one.

So a query can read twins as they were, and a failed write changes nothing.
Source: Microsoft Learn, "Understand and use device twins in IoT Hub".
"""

import base64
from dataclasses import dataclass, field, replace

from simulator.hub.model.clock import timestamp
from simulator.hub.model.device import Device, identity_etag, scopes
from simulator.hub.model.json_types import Document, Json
from simulator.hub.model.twin_document import (
    MAX_PROPERTIES_BYTES,
    MAX_TAGS_BYTES,
    check_size,
    merge_patch,
    stamp_metadata,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Desired or reported properties, their `$metadata` tree and `$version`."""

    properties: Document
    metadata: Document
    version: int = 1

    def document(self) -> Document:
        """Return the section as the service API shows it, with `$metadata` and `$version`."""
        return {**self.properties, "$metadata": self.metadata, "$version": self.version}

    def device_document(self) -> Document:
        """Return the section as a device gets it, without `$metadata`."""
        return {**self.properties, "$version": self.version}


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """Tags, desired and reported properties of a device or module."""

    desired: Section
    reported: Section
    tags: Document = field(default_factory=dict)
    etag: int = 1
    """Changes with tags and desired properties. That reported ones do not change it is
    unverified."""
    version: int = 2
    """Changes with every write. The first value is unverified."""
    configurations: Document = field(default_factory=dict)
    """Status of the automatic configurations that target the twin, by id."""
    configured: Document = field(default_factory=dict)
    """What the applied configuration wrote, by path, so that it can be removed."""


def new_twin(now: float) -> Twin:
    """Return the twin of a device just registered. Both versions are 1."""
    stamp: Document = {"$lastUpdated": timestamp(now)}
    return Twin(
        desired=Section(properties={}, metadata={**stamp, "$lastUpdatedVersion": 1}),
        reported=Section(properties={}, metadata=stamp),
    )


def with_tags(twin: Twin, patch: Document | None) -> Twin:
    """Return the twin with tags after a merge patch. None clears them."""
    tags = {} if patch is None else merge_patch(twin.tags, patch)
    check_size(tags, MAX_TAGS_BYTES, "tags")
    return replace(twin, tags=tags)


def with_desired(twin: Twin, patch: Document, now: float) -> Twin:
    """Return the twin with desired properties after a merge patch. `$version` always grows."""
    version = twin.desired.version + 1
    stamp: Document = {"$lastUpdated": timestamp(now), "$lastUpdatedVersion": version}
    return replace(twin, desired=_patch_section(twin.desired, patch, stamp, "desired"))


def with_reported(twin: Twin, patch: Document, now: float) -> Twin:
    """Return the twin with reported properties after a device's merge patch."""
    stamp: Document = {"$lastUpdated": timestamp(now)}
    reported = _patch_section(twin.reported, patch, stamp, "reported")
    return replace(twin, reported=reported, version=twin.version + 1)


def _patch_section(section: Section, patch: Document, stamp: Document, name: str) -> Section:
    properties = merge_patch(section.properties, patch)
    check_size(properties, MAX_PROPERTIES_BYTES, f"properties.{name}")
    return Section(
        properties=properties,
        metadata=stamp_metadata(section.metadata, patch, stamp),
        version=section.version + 1,
    )


def twin_etag(etag: int) -> str:
    """Return the twin's ETag without quotes: base64 of eight bytes."""
    return base64.b64encode(etag.to_bytes(8)).decode()


def twin_document(device: Device, twin: Twin) -> Document:
    """Return the twin as the service API shows it; empty tags are left out."""
    thumbprint: Document = {
        "primaryThumbprint": device.authentication.primary_thumbprint or None,
        "secondaryThumbprint": device.authentication.secondary_thumbprint or None,
    }
    document: Document = {
        "deviceId": device.device_id,
        **({} if device.module_id is None else {"moduleId": device.module_id}),
        "etag": twin_etag(twin.etag),
        "deviceEtag": identity_etag(device.etag),
        "status": device.status,
        "statusUpdateTime": timestamp(device.status_updated),
        "connectionState": device.connection_state,
        "lastActivityTime": timestamp(device.last_activity),
        "cloudToDeviceMessageCount": 0,
        "authenticationType": device.authentication.type.value,
        "x509Thumbprint": thumbprint,
        "modelId": "",
        "version": twin.version,
    }
    if device.status_reason:
        document["statusReason"] = device.status_reason
    if twin.tags:
        document["tags"] = twin.tags
    document["properties"] = {
        "desired": twin.desired.document(),
        "reported": twin.reported.document(),
    }
    if twin.configurations:
        document["configurations"] = twin.configurations
    document["capabilities"] = {"iotEdge": device.iot_edge}
    document |= scopes(device)
    return document


def device_view(twin: Twin) -> dict[str, Json]:
    """Return the twin as a device reads it: both sections, no tags, no metadata."""
    return {
        "desired": twin.desired.device_document(),
        "reported": twin.reported.device_document(),
    }
