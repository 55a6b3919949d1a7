"""Folders by URI, on a local disk or in a bucket alike."""

from stedi_assets.storage.address import S3
from stedi_assets.storage.folder import Folder
from stedi_assets.storage.local import LocalFolder


def open_folder(uri: str) -> Folder:
    """The folder at an URI."""
    if uri.startswith(S3):
        # A local lakehouse does without boto3, which takes long to import.
        from stedi_assets.storage.s3 import S3Folder

        return S3Folder(uri)
    return LocalFolder(uri)
