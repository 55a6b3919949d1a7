"""A device's pseudonym is the HMAC that any other implementation gives, and its key is secret."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from stedi_assets.errors import LakehouseError
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets_tests.rows import DEVICE_READINGS, PSEUDONYMS, Frame, device_reading, rows


@pytest.mark.parametrize("length", [32, 45, 64])
def test__of__is_hmac_sha256(length: int, frame: Frame) -> None:
    key = ("0123456789abcdef" * 4)[:length]
    serials = ["device-1", "Gerät 2", "", None]
    made = Pseudonyms(key).of(
        frame(DEVICE_READINGS, [device_reading(serial) for serial in serials]), "serialNumber"
    )
    assert rows(made) == sorted(
        (
            device_reading(
                None
                if serial is None
                else hmac.new(key.encode(), serial.encode(), hashlib.sha256).hexdigest()
            )
            for serial in serials
        ),
        key=repr,
    )
    assert made.dtypes == frame(DEVICE_READINGS, []).dtypes


@pytest.mark.parametrize("key", ["", "short", "k" * 31, "k" * 65])
def test__of__key_is_missing_or_unfit(key: str, frame: Frame) -> None:
    with pytest.raises(LakehouseError, match="need a secret of 32 to 64 characters") as raised:
        Pseudonyms(key).of(frame(DEVICE_READINGS, []), "serialNumber")
    assert not key or key not in str(raised.value)


def test__pseudonyms__show_no_key(frame: Frame, capsys: pytest.CaptureFixture[str]) -> None:
    made = PSEUDONYMS.of(frame(DEVICE_READINGS, [device_reading("device-1")]), "serialNumber")
    made.explain(extended=True)
    shown = f"{PSEUDONYMS} {made} {capsys.readouterr().out}"
    inner, _ = PSEUDONYMS._pads()
    for secret in (PSEUDONYMS.key, inner.hex(), str(list(inner))[1:-1], repr(inner)[2:20]):
        assert secret.lower() not in shown.lower()
