"""How the training set is split: by a public seed, into parts of given shares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stedi_assets.errors import LakehouseError

PARTS = ("train", "validation", "test")
# It is shown to everyone, so that it must not be an e-mail address.
SEED = r"[A-Za-z0-9_.-]{1,64}"


@dataclass(frozen=True)
class Split:
    """The split of the training set.

    Attributes:
        seed: With another one people fall into other parts. It is no secret.
        train: How many of a hundred groups of people fall into this part.
        validation: As `train`.
        test: As `train`.
    """

    seed: str = "stedi"
    train: int = 80
    validation: int = 10
    test: int = 10

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Split:
        """The split among other values, such as those of a run configuration.

        Raises:
            LakehouseError: If the seed or the shares cannot be used.
        """
        found = cls(**{name: values[name] for name in asdict(cls()) if name in values})
        if min(found.shares.values()) < 1 or sum(found.shares.values()) != 100:
            raise LakehouseError(
                f"The shares of the training set are {found.train} for train, {found.validation} "
                f"for validation and {found.test} for test. Choose whole numbers of at least 1 "
                "that add up to 100."
            )
        if not re.fullmatch(SEED, found.seed):
            raise LakehouseError(
                "The seed of the split is not 1 to 64 letters, digits, points, hyphens or "
                "underscores. Choose another."
            )
        return found

    def __str__(self) -> str:
        return f"{'/'.join(map(str, self.shares.values()))} by the seed {self.seed}"

    @property
    def shares(self) -> dict[str, int]:
        """Part to its share in per cent."""
        return {part: getattr(self, part) for part in PARTS}


DEFAULT_SPLIT = Split()
