"""A made-up release, signed and published as a publisher does it."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from signed_firmware.manifest import Manifest
from signed_firmware.publisher import build_key_set, generate_key, sign_manifest
from signed_firmware.trust import TrustStore
from simulator.cloud.options import CloudOptions
from simulator.cloud.packages import Packages

MODEL = "thermostat-x1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A package with its signed manifest, and the keys that a device needs to trust it."""

    version: str
    package: bytes
    manifest: str
    trust: TrustStore

    @property
    def name(self) -> str:
        """The package's name where it is published."""
        return f"fw-{self.version}.bin"

    @property
    def sha256(self) -> str:
        """Of the package, in hexadecimal digits."""
        return hashlib.sha256(self.package).hexdigest()


def new_release(version: str) -> Release:
    """A release with a key of its own, which nobody keeps."""
    package = f"made-up firmware {version}\n".encode() * 40_000
    key = generate_key()
    manifest = Manifest(
        version=version,
        sha256=hashlib.sha256(package).hexdigest(),
        size_bytes=len(package),
        models=(MODEL,),
        sequence=1,
        expires_at=datetime.now(UTC).replace(microsecond=0) + timedelta(days=1),
        minimum_version=None,
        allow_downgrade=False,
    )
    return Release(
        version=version,
        package=package,
        manifest=sign_manifest(manifest, key),
        trust=TrustStore.from_json(build_key_set(key)),
    )


def published(options: CloudOptions, release: Release, valid_for: timedelta) -> dict[str, object]:
    """Upload the package; gives the `firmware` of a rollout of it. Raises CloudError."""
    packages = Packages(options.azurite.connection_string)
    packages.upload(release.name, release.package)
    return {
        "version": release.version,
        "packageUri": packages.signed_url(release.name, valid_for),
        "sha256": release.sha256,
        "sizeBytes": len(release.package),
        "manifest": release.manifest,
    }
