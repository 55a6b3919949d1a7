"""The customers, and those who withdraw consent later."""

import json

from stedi_assets.sample.cohort import Cohort
from stedi_assets.sample.recipe import Recipe


def lines(cohort: Cohort) -> list[str]:
    """A record of each person, then the withdrawals."""
    records = [person.customer for person in cohort.people]
    return [json.dumps(record) for record in (*records, *cohort.withdrawals)]


def rows(cohort: Cohort) -> dict[str, int]:
    """Everyone who consents has phone readings, so that all are curated."""
    people = len(cohort.consenting)
    return {"customer_trusted": people, "customer_curated": people}


RECIPE = Recipe(lines, rows)
