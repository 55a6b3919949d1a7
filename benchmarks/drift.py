"""How much published versions differ by chance: `python -m benchmarks.drift`.

For each of a hundred seeds it makes the training set of a sample, in plain Python, and publishes
one after the other, as far as drift is concerned. Samples differ in nothing but their seed, so that
each column that counts as drifted is a false alarm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import click
import numpy as np

from stedi_assets.sample.cohort import make_cohort
from stedi_assets.sample.spec import SampleSpec
from stedi_assets.training.publish import BINS, COMPARED, DRIFTED, stability


def columns(seed: int) -> dict[str, np.ndarray]:
    """The values of the compared columns in the training set of a sample."""
    rows = list(_rows(seed))
    return dict(zip(COMPARED, np.array(rows, dtype=float).T, strict=True))


def _rows(seed: int) -> Iterator[tuple[float, ...]]:
    for person in make_cohort(SampleSpec(seed=seed), 0).consenting:
        consented = person.customer["shareWithResearchAsOfDate"]
        for moment in person.moments:
            for vector in moment.vectors if moment.time > consented else ():
                read = json.loads(f"{{{vector}}}")
                yield moment.distance, read["x"], read["y"], read["z"]


def edges(values: np.ndarray) -> list[float]:
    """The edges of the bins, as publishing has them."""
    inner = np.quantile(values, [n / BINS for n in range(1, BINS + 1)], method="inverted_cdf")
    return [float(np.nextafter(values.min(), -np.inf)), *map(float, np.unique(inner))]


def shares(values: np.ndarray, between: Sequence[float]) -> list[float]:
    """The share of the values in each bin."""
    below = np.array([0, *(np.count_nonzero(values <= edge) for edge in between), len(values)])
    return [float(each) for each in np.diff(below) / len(values)]


@click.command(help=__doc__)
@click.option("--seeds", default=100, show_default=True, help="How many samples.")
def main(seeds: int) -> None:
    """Prints each column's indices."""
    found: dict[str, list[float]] = {name: [] for name in COMPARED}
    before = columns(seeds)
    for seed in range(seeds):
        now = columns(seed)
        for name in COMPARED:
            between = edges(before[name])
            found[name].append(stability(shares(before[name], between), shares(now[name], between)))
        before = now
    for name, psi in found.items():
        alarms = sum(each >= DRIFTED for each in psi)
        print(f"{name}: median {np.median(psi):.5f}, most {max(psi):.5f}, {alarms} of {seeds}")


if __name__ == "__main__":
    main()
