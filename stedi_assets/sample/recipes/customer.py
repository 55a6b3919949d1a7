"""The customers, and those who withdraw consent later."""

import json

from stedi_assets.sample.cohort import Cohort
from stedi_assets.sample.recipe import Recipe


def lines(cohort: Cohort) -> list[str]:
    """A record of each person, then the withdrawals."""
    records = [person.customer for person in cohort.people]
    return [json.dumps(record) for record in (*records, *cohort.withdrawals)]


def rows(cohort: Cohort) -> dict[str, int]:
    """Everyone who consents has phone readings and a device, so that all are in each table."""
    people = len(cohort.consenting)
    return dict.fromkeys(("customer_trusted", "customer_curated", "customer_training"), people)


RECIPE = Recipe(lines, rows)
