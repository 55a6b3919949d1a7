"""The settings of the project: the `STEDI_*` variables of the environment."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from stedi_assets.errors import LakehouseError
from stedi_assets.policy import NO_OPTION, Options, setting_of
from stedi_assets.split import DEFAULT_SPLIT, PARTS, Split

ON, OFF = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
HOST = r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?"
MISTAKE = "mistake"
POLICY = {option.name: option.metadata["description"] for option in fields(Options)}


_history: Path | None = None


def choose_history(home: Path) -> None:
    """Has this process take another folder than the environment's for DAGSTER_HOME."""
    global _history
    _history = home


def history_home() -> Path | None:
    """DAGSTER_HOME, as this process has chosen it or the environment has it."""
    home = os.environ.get("DAGSTER_HOME")
    return _history or (Path(home) if home else None)


def engine_writes_to(path: str) -> bool:
    """Whether the engine can write to a path, which it takes for the path of an URI."""
    return quote(path) == path


def default_lakehouse() -> Path:
    """The folder `lakehouse` in the current folder, or one of the user's if that cannot be used."""
    here = Path.cwd() / "lakehouse"
    if engine_writes_to(str(here)):
        return here
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    own = hashlib.sha256(os.fsencode(here)).hexdigest()[:12]
    return Path(data, "stedi_assets", f"lakehouse-{own}")


def _on_or_off(value: Any) -> Any:
    written = value.strip().lower() if isinstance(value, str) else value
    if isinstance(written, str) and written not in ON + OFF:
        raise PydanticCustomError(
            MISTAKE,
            "is neither on nor off. Set it to true or false, or to nothing for false.",
        )
    return written or False


def _hosts(value: Any) -> Any:
    names = [name.strip() for name in value.lower().split(",")] if isinstance(value, str) else value
    for name in filter(None, names):
        if not re.fullmatch(HOST, name):
            raise PydanticCustomError(
                MISTAKE,
                "has {name}, which is not the name of a host. Write each as name or name:port, "
                "with commas between them.",
                {"name": name},
            )
    return tuple(filter(None, names))


def _seed(value: str) -> str:
    try:
        return Split.of({"seed": value or DEFAULT_SPLIT.seed}).seed
    except LakehouseError as error:
        raise PydanticCustomError(MISTAKE, "cannot be used: {why}", {"why": str(error)}) from None


def _shares(value: Any) -> Any:
    try:
        shares = tuple(map(int, value.split("/"))) if isinstance(value, str) and value else value
        Split.of(dict(zip(PARTS, shares or DEFAULT_SPLIT.shares.values(), strict=True)))
    except (LakehouseError, ValueError):
        raise PydanticCustomError(
            MISTAKE,
            "is not the shares of train, validation and test. Write three whole numbers of at "
            "least 1 that add up to 100, such as 80/10/10.",
        ) from None
    return shares or tuple(DEFAULT_SPLIT.shares.values())


OnOff = Annotated[bool, BeforeValidator(_on_or_off)]


class Settings(BaseSettings):
    """What the environment says, with defaults that work in any folder.

    `make generate` writes the table of docs/SETTINGS.md from the fields.
    """

    model_config = SettingsConfigDict(env_prefix="STEDI_", frozen=True, hide_input_in_errors=True)

    lakehouse_uri: str = Field(
        default_factory=lambda: str(default_lakehouse()),
        description="Where the tables are: a folder, or `s3://bucket/prefix`.",
        repr=False,  # what is written may hold a password by mistake
    )
    source_data: str = Field(
        default_factory=lambda: str(Path.cwd() / "data"),
        description=(
            "The folder that landing uploads from. Set it to nothing where files arrive in landing "
            "by themselves."
        ),
    )
    spark_remote: SecretStr = Field(
        default=SecretStr(""),
        description=(
            "Nothing: the embedded engine. `sc://host:port`: any Spark Connect server, with "
            "`/;token=…` if it has a token. `local[*]`: a local JVM Spark."
        ),
    )
    glue_database: str = Field(
        default="", description="The database of the Glue Data Catalog to register every table in."
    )
    athena_workgroup: str = Field(
        default="",
        description="With a Glue database: the Athena workgroup to count each table's rows in.",
    )
    slack_webhook_url: SecretStr = Field(
        default=SecretStr(""),
        description="The incoming webhook of Slack to report failed runs to. A secret.",
    )
    sns_topic_arn: str = Field(
        default="", description="The ARN of the SNS topic to report failed runs to."
    )
    pseudonym_key: SecretStr = Field(
        default=SecretStr(""),
        description=(
            "A secret of 32 to 64 characters, for `pseudonymise_devices` and for erasing people."
        ),
    )
    webserver_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_hosts)] = Field(
        default=(),
        description=(
            "Further names under which browsers reach the Dagster UI, with commas between them, "
            "each with its port unless that is 80 or 443."
        ),
    )
    after_consent_only: OnOff = Field(default=False, description=POLICY["after_consent_only"])
    match_device: OnOff = Field(default=False, description=POLICY["match_device"])
    pseudonymise_devices: OnOff = Field(default=False, description=POLICY["pseudonymise_devices"])

    split_seed: Annotated[str, BeforeValidator(_seed)] = Field(
        default=DEFAULT_SPLIT.seed,
        description=(
            "The seed by which people fall into the parts of `training_set`. With another they "
            "fall into others. It is no secret."
        ),
    )
    split_shares: Annotated[tuple[int, ...], NoDecode, BeforeValidator(_shares)] = Field(
        default=tuple(DEFAULT_SPLIT.shares.values()),
        description=(
            "The shares of `train`, `validation` and `test` in `training_set`, in per cent, such "
            "as `70/15/15`."
        ),
    )

    @classmethod
    def from_environment(cls) -> Settings:
        """Reads the STEDI_* variables.

        Raises:
            LakehouseError: With one sentence for each variable that cannot be used.
        """
        try:
            return cls()
        except ValidationError as error:
            raise LakehouseError("\n".join(map(_sentence, error.errors()))) from None

    @property
    def policy(self) -> Options:
        """The options of machine_learning_curated that every run obeys."""
        return Options(**{name: getattr(self, name) for name in NO_OPTION.as_dict()})

    @property
    def split(self) -> Split:
        """How the training set is split."""
        return Split(self.split_seed, *self.split_shares)

    @field_validator("lakehouse_uri")
    @classmethod
    def _or_default(cls, value: str) -> str:
        return value or str(default_lakehouse())


def _sentence(mistake: Any) -> str:
    return f"{setting_of(mistake['loc'][0])} {mistake['msg']}"
