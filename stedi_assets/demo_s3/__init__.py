"""The lakehouse on a real S3 server without an account: `stedi demo-s3`.

The server is SeaweedFS. Its data, credentials and log are in the folder `.demo-s3`, which only this
user can enter. Every user of this machine reaches its ports: S3 asks for the administrator's keys,
the other ports for a client certificate that is in the folder.
"""

from stedi_assets.demo_s3.server import BUCKET, S3Server

__all__ = ["BUCKET", "S3Server"]
