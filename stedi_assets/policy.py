"""The privacy policy: which of the paired readings may train a model, and what they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Options:
    """The options of machine_learning_curated: each is stricter if on.

    Attributes:
        after_consent_only: Only readings that took place after the user granted permission.
        match_device: Only readings of a device that is registered to the phone's owner.
        pseudonymise_devices: A pseudonym in place of serialNumber.
    """

    after_consent_only: bool = field(
        default=False,
        metadata={
            "description": (
                "Keep only readings that took place after the user granted permission: "
                "shareWithResearchAsOfDate < sensorReadingTime."
            )
        },
    )
    match_device: bool = field(
        default=False,
        metadata={
            "description": (
                "Keep only readings of a device that is registered to the phone's owner. Without "
                "it, two people's readings of the same millisecond are paired with each other."
            )
        },
    )
    pseudonymise_devices: bool = field(
        default=False,
        metadata={
            "description": (
                "Replace serialNumber by a pseudonym: its HMAC-SHA256 under the secret "
                "STEDI_PSEUDONYM_KEY. Rows stay the same otherwise."
            )
        },
    )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Options:
        """The options among other values, such as those of a commit; one not named is off."""
        return cls(**{name: bool(values.get(name)) for name in asdict(cls())})

    def as_dict(self) -> dict[str, bool]:
        """The options as plain values."""
        return asdict(self)

    @property
    def enabled(self) -> list[str]:
        """The names of the options that are on, in order."""
        return [name for name, on in asdict(self).items() if on]

    def beyond(self, other: Options) -> list[str]:
        """The names of the options that are on here and off there, in order."""
        return [name for name in self.enabled if name not in other.enabled]

    def __str__(self) -> str:
        return ", ".join(self.enabled) or "no option"


NO_OPTION = Options()


def setting_of(option: str) -> str:
    """The environment variable that makes an option policy."""
    return f"STEDI_{option.upper()}"


def settings_of(options: Sequence[str]) -> str:
    """What to set in the environment to make options policy."""
    return ", ".join(f"{setting_of(name)}=true" for name in options)
