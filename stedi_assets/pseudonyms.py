"""Pseudonyms of devices and people: only who has the key can find out whose one is."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stedi_assets.errors import LakehouseError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LEAST_KEY_LENGTH = 32
# Of HMAC (RFC 2104) over SHA-256.
BLOCK_BYTES, INNER_PAD, OUTER_PAD = 64, 0x36, 0x5C


@dataclass(frozen=True)
class Pseudonyms:
    """Replaces values by their HMAC-SHA256 under a secret key, as 64 hexadecimal digits.

    Attributes:
        key: The secret, from STEDI_PSEUDONYM_KEY; shown nowhere.
    """

    key: str = field(repr=False)

    def of(self, frame: DataFrame, column: str) -> DataFrame:
        """The frame with pseudonyms in place of a column's strings.

        Raises:
            LakehouseError: If there is no key, or one that could be guessed.
        """
        from pyspark.sql import functions as F

        inner, outer = self._pads()
        # As data, so that no query plan, message or page of the engine contains them.
        pads = frame.sparkSession.createDataFrame([(inner, outer)], "_inner binary, _outer binary")
        digest = F.unhex(F.sha2(F.concat("_inner", F.encode(column, "UTF-8")), 256))
        pseudonym = F.sha2(F.concat("_outer", digest), 256)
        return frame.crossJoin(pads).withColumn(column, pseudonym).drop("_inner", "_outer")

    def of_text(self, value: str) -> str:
        """The pseudonym of one value, as `of` has it, outside of the engine.

        Raises:
            LakehouseError: If there is no key, or one that could be guessed.
        """
        return hmac.new(self._secret, value.encode(), hashlib.sha256).hexdigest()

    def require_key(self) -> None:
        """Makes sure that pseudonyms can be made.

        Raises:
            LakehouseError: If there is no key, or one that could be guessed.
        """
        _ = self._secret

    @property
    def _secret(self) -> bytes:
        secret = self.key.encode()
        if not LEAST_KEY_LENGTH <= len(secret) <= BLOCK_BYTES:
            raise LakehouseError(
                f"Pseudonyms need a secret of {LEAST_KEY_LENGTH} to {BLOCK_BYTES} characters in "
                "STEDI_PSEUDONYM_KEY. Make one with `openssl rand -hex 32`, and keep it: with "
                "another key the same value has another pseudonym."
            )
        return secret

    def _pads(self) -> tuple[bytes, bytes]:
        block = self._secret.ljust(BLOCK_BYTES, b"\0")
        inner, outer = (bytes(byte ^ pad for byte in block) for pad in (INNER_PAD, OUTER_PAD))
        return inner, outer
