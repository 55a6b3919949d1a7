"""The readings of the devices."""

from stedi_assets.sample.cohort import Cohort
from stedi_assets.sample.recipe import Recipe


def lines(cohort: Cohort) -> list[str]:
    """A record of each distance."""
    return [
        f'{{"sensorReadingTime":{moment.time},"serialNumber":"{person.serial_number}",'
        f'"distanceFromObject":{moment.distance}}}'
        for person in cohort.people
        for moment in person.moments
    ]


def rows(cohort: Cohort) -> dict[str, int]:
    """The readings of the devices of those who consent."""
    return {"step_trainer_trusted": sum(len(person.moments) for person in cohort.consenting)}


RECIPE = Recipe(lines, rows)
