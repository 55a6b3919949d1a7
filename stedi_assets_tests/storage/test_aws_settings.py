"""The AWS settings that boto3 finds are those of delta-rs, Arrow and the engine too."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stedi_assets.storage import aws_settings

PROCESS = """
import json, pathlib
count = pathlib.Path({count!r})
number = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(number))
print(json.dumps({{"Version": 1, "AccessKeyId": f"KEY{{number}}", "SecretAccessKey": "secret",
    "SessionToken": f"token{{number}}", "Expiration": {expires!r}}}))
"""


@pytest.mark.parametrize(("minutes", "renewed"), [(1, True), (60, False)])
def test__credentials__that_expire_are_renewed(
    minutes: int, renewed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of a role, which a long run outlives."""
    expires = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    script = tmp_path / "credentials.py"
    script.write_text(PROCESS.format(count=str(tmp_path / "count"), expires=expires))
    config = tmp_path / "config"
    config.write_text(f"[profile lake]\ncredential_process = {sys.executable} {script}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "lake")
    found = aws_settings.found.__wrapped__()

    first, second = found.delta_options(), found.delta_options()

    assert first["AWS_SESSION_TOKEN"].startswith("token")
    assert (first["AWS_ACCESS_KEY_ID"] != second["AWS_ACCESS_KEY_ID"]) == renewed
