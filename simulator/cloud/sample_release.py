"""Make a sample firmware release, signed and published as a publisher does it."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from signed_firmware.manifest import Manifest
from signed_firmware.publisher import build_key_set, generate_key, sign_manifest
from signed_firmware.trust import TrustStore
from simulator.cloud.options import CloudOptions
from simulator.cloud.package_storage import PackageStorage

MODEL = "thermostat-x1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRelease:
    """A package with its signed manifest, and the keys that devices trust."""

    version: str
    package: bytes
    manifest: str
    trust: TrustStore

    @property
    def name(self) -> str:
        """The package's name in storage."""
        return f"fw-{self.version}.bin"

    @property
    def sha256(self) -> str:
        """The package's hash, in hexadecimal digits."""
        return hashlib.sha256(self.package).hexdigest()


def make_release(version: str) -> SampleRelease:
    """Make a release, signed with a new key that is not kept."""
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
    return SampleRelease(
        version=version,
        package=package,
        manifest=sign_manifest(manifest, key),
        trust=TrustStore.from_json(build_key_set(key)),
    )


def publish_release(
    options: CloudOptions, release: SampleRelease, valid_for: timedelta
) -> dict[str, object]:
    """Upload the package; return the `firmware` of a rollout of it. Raises CloudError."""
    storage = PackageStorage(options.azurite.connection_string)
    storage.upload(release.name, release.package)
    return {
        "version": release.version,
        "packageUri": storage.signed_url(release.name, valid_for),
        "sha256": release.sha256,
        "sizeBytes": len(release.package),
        "manifest": release.manifest,
    }
