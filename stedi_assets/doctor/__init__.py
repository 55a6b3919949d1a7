"""Examines what a run needs, one thing after another: `stedi doctor`."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from stedi_assets.doctor import places
from stedi_assets.doctor.finding import AGAIN, Finding, State
from stedi_assets.errors import Code, LakehouseError
from stedi_assets.policy import settings_of
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.settings import Settings
from stedi_assets.storage.address import as_uri, without_userinfo
from stedi_assets.storage.faults import storage_faults
from stedi_assets.tables import DELTA_TABLES
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED

PREFIX = "STEDI_"
TEST_MESSAGE = "A test of `stedi doctor`: failed runs of the STEDI lakehouse are reported here."


def examine(console: Console, base: Path, *, send_test: bool = False) -> bool:
    """Examines everything, and prints each finding as it comes.

    Nothing is changed but for a file that is written beside a table and removed, to see that it
    can. No secret is printed.

    Args:
        console: Where to print.
        base: The folder of the history, DAGSTER_HOME.
        send_test: Whether to send a test message to where failed runs are reported.

    Returns:
        Whether nothing is at fault. What is not set, and a warning, is no fault.
    """
    found: list[Finding] = []

    def show(name: str, examination: Callable[[], Finding]) -> None:
        found.append(_found(examination))
        state = found[-1].state
        console.print(Text.assemble((f"{state.name:8}", state.value), f"{name}: {found[-1].said}"))

    show("settings", _settings)
    if found[-1].state is not State.FAULT:
        settings = Settings.from_environment()
        for name, examination in EXAMINATIONS.items():
            show(name, functools.partial(examination, settings))
        show("disk", functools.partial(places.disk, settings, base))
        show("history", functools.partial(_history, settings, base))
        show("notifier", functools.partial(notifier, settings, send_test))
    return all(each.state is not State.FAULT for each in found)


def _found(examination: Callable[[], Finding]) -> Finding:
    try:
        return examination()
    except LakehouseError as error:
        return Finding(State.FAULT, str(error))
    except Exception as error:
        # What a library says may hold a secret.
        said = f"[{Code.UNEXPECTED.name}] An unexpected {type(error).__name__}."
        return Finding(State.FAULT, f"{said} Correct the settings of this. {AGAIN}")


def _settings() -> Finding:
    Settings.from_environment()
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    set_here = sorted(name for name in os.environ if name.startswith(PREFIX))
    unknown = [name for name in set_here if name not in known]
    if unknown:
        said = f"{', '.join(unknown)} is not a setting. Correct the name, or unset it."
        return Finding(State.WARNING, said)
    return Finding(
        State.OK, f"{', '.join(set_here)} set." if set_here else "all at their defaults."
    )


def _engine(settings: Settings) -> Finding:
    """Whether the engine starts and, if there is a table, reads it."""
    from stedi_assets.engine.spark import SparkResource
    from stedi_assets.lakehouse.lakehouse import Lakehouse

    spark = SparkResource(remote=settings.spark_remote.get_secret_value())
    lakehouse = Lakehouse(without_userinfo(settings.lakehouse_uri), spark)
    with contextlib.ExitStack() as until_the_end:
        until_the_end.enter_context(storage_faults(lakehouse.root))
        until_the_end.callback(spark.stop)
        version = spark.spark_session.version
        tables = []
        with contextlib.suppress(LakehouseError):  # which the examination of the lakehouse shows
            tables = [table for table in DELTA_TABLES if lakehouse.state(table)][:1]
        for table in tables:
            lakehouse.read(table).limit(1).count()
    kind = "the server of STEDI_SPARK_REMOTE" if spark.remote else "the embedded engine"
    reads = f", and reads {tables[0].name}" if tables else ""
    return Finding(State.OK, f"{kind} answers as Spark {version}{reads}.")


def _policy(settings: Settings) -> Finding:
    """Whether machine_learning_curated is as strict as the policy."""
    from stedi_assets.lakehouse import delta

    policy = settings.policy
    uri = f"{as_uri(settings.lakehouse_uri)}/{MACHINE_LEARNING_CURATED.location}"
    try:
        made = delta.state(uri)
    except LakehouseError:
        said = f"{policy}. {MACHINE_LEARNING_CURATED.name} cannot be compared: see the lakehouse."
        return Finding(State.OFF, said)
    lacking = policy.beyond(made.commit.config) if made else []
    if lacking:
        said = f"{MACHINE_LEARNING_CURATED.name} was made without {', '.join(lacking)}, which the "
        fix = f"policy requires ({settings_of(lacking)}). Materialise it again."
        return Finding(State.WARNING, said + fix)
    if not policy.enabled:
        return Finding(State.OFF, "no option is set.")
    return Finding(State.OK, f"{policy}.")


def _pseudonym_key(settings: Settings) -> Finding:
    key = settings.pseudonym_key.get_secret_value()
    if not key and not settings.policy.pseudonymise_devices:
        said = "STEDI_PSEUDONYM_KEY is not set: without it nobody can be erased."
        return Finding(State.OFF, f"{said} Make one with `openssl rand -hex 32`, and keep it.")
    Pseudonyms(key).require_key()
    return Finding(State.OK, "STEDI_PSEUDONYM_KEY is set, and long enough.")


def _history(settings: Settings, base: Path) -> Finding:
    from stedi_assets.orchestration import history

    home = history.home_of(history.identity(settings.lakehouse_uri), base)
    with storage_faults():
        if not (home / history.DATABASES).exists():
            return Finding(State.OK, f"{home} has none yet.")
        with history.opened(home) as instance:
            runs = instance.get_runs_count()
    return Finding(State.OK, f"{runs:,} run{'' if runs == 1 else 's'} in {home}.")


def notifier(settings: Settings, send_test: bool) -> Finding:
    """Whether failed runs are reported anywhere, and whether that takes a message."""
    from stedi_assets.orchestration.notify import notifiers

    channels = notifiers(settings)
    if not channels:
        said = "failed runs are reported only in the log. Set STEDI_SLACK_WEBHOOK_URL or "
        return Finding(State.OFF, f"{said}STEDI_SNS_TOPIC_ARN to be notified.")
    if send_test:
        for channel in channels:
            channel.notify(TEST_MESSAGE, TEST_MESSAGE)
    names = " and ".join(type(channel).__name__.removesuffix("Notifier") for channel in channels)
    done = "took a test message" if send_test else "is set; `stedi doctor --send-test` tries it"
    return Finding(State.OK, f"{names} {done}.")


EXAMINATIONS: dict[str, Callable[[Settings], Finding]] = {
    "credentials": places.credentials,
    "lakehouse": places.lakehouse,
    "source": places.source,
    "engine": _engine,
    "catalog": places.catalog,
    "policy": _policy,
    "pseudonym key": _pseudonym_key,
}
