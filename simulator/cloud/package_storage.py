"""Store firmware packages in Blob Storage, and make URLs that read one for a limited time."""

from datetime import UTC, datetime, timedelta

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas

from simulator.cloud.errors import CloudError

_CONTAINER = "firmware"
# Clocks differ a little; a signature must not start in a device's future.
_CLOCK_DIFFERENCE = timedelta(minutes=5)


class PackageStorage:
    """The container `firmware` of a storage account. Every call raises CloudError."""

    def __init__(self, connection_string: str) -> None:
        """Connect with the account's key at the first call."""
        self._service = BlobServiceClient.from_connection_string(connection_string)

    def upload(self, name: str, content: bytes) -> None:
        """Store a package; replace one of the same name."""
        try:
            with self._service.get_container_client(_CONTAINER) as container:
                if not container.exists():
                    container.create_container()
                container.upload_blob(name, content, overwrite=True)
        except AzureError as error:
            message = f"the package {name} could not be stored: {type(error).__name__}"
            raise CloudError(message) from error

    def signed_url(self, name: str, valid_for: timedelta) -> str:
        """Return a URL that reads one package. Its shared access signature is a secret."""
        now = datetime.now(UTC)
        signature = generate_blob_sas(
            account_name=str(self._service.account_name),
            container_name=_CONTAINER,
            blob_name=name,
            account_key=self._service.credential.account_key,
            permission=BlobSasPermissions(read=True),
            start=now - _CLOCK_DIFFERENCE,
            expiry=now + valid_for,
        )
        return f"{self._service.url.rstrip('/')}/{_CONTAINER}/{name}?{signature}"
