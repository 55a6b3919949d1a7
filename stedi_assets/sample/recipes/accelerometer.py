"""The readings of the phones."""

from stedi_assets.sample.cohort import Cohort
from stedi_assets.sample.recipe import Recipe


def lines(cohort: Cohort) -> list[str]:
    """A record of each acceleration."""
    return [
        f'{{"user":"{person.email}","timestamp":{moment.time},{vector}}}'
        for person in cohort.people
        for moment in person.moments
        for vector in moment.vectors
    ]


def rows(cohort: Cohort) -> dict[str, int]:
    """The readings of those who consent."""
    moments = [moment for person in cohort.consenting for moment in person.moments]
    return {"accelerometer_trusted": sum(len(moment.vectors) for moment in moments)}


RECIPE = Recipe(lines, rows)
