"""Firmware packages in Blob Storage, and addresses that open one of them for a while."""

from datetime import UTC, datetime, timedelta

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas

from simulator.cloud.errors import CloudError

_CONTAINER = "firmware"
# Clocks differ a little; a signature must not begin in a device's future.
_EARLIER = timedelta(minutes=5)


class Packages:
    """The container `firmware` of a storage account. Every call raises CloudError."""

    def __init__(self, connection_string: str) -> None:
        """Nothing is dialled yet. The string holds the account's key."""
        self._service = BlobServiceClient.from_connection_string(connection_string)

    def upload(self, name: str, content: bytes) -> None:
        """Store a package, in the place of one of the same name."""
        try:
            with self._service.get_container_client(_CONTAINER) as container:
                if not container.exists():
                    container.create_container()
                container.upload_blob(name, content, overwrite=True)
        except AzureError as error:
            message = f"the package {name} was not stored: {type(error).__name__}"
            raise CloudError(message) from error

    def signed_url(self, name: str, valid_for: timedelta) -> str:
        """An address that reads this one package, with a shared access signature: a secret."""
        now = datetime.now(UTC)
        signature = generate_blob_sas(
            account_name=str(self._service.account_name),
            container_name=_CONTAINER,
            blob_name=name,
            account_key=self._service.credential.account_key,
            permission=BlobSasPermissions(read=True),
            start=now - _EARLIER,
            expiry=now + valid_for,
        )
        return f"{self._service.url.rstrip('/')}/{_CONTAINER}/{name}?{signature}"
