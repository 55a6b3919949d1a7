"""The training tables: the accelerations and distances of one millisecond, paired."""

from collections import Counter

from stedi_assets.sample.cohort import CONSENTED, Cohort
from stedi_assets.sample.recipe import Recipe

TABLE = "machine_learning_curated"


def rows(cohort: Cohort) -> Counter[str]:
    """The pairs with neither option, with each (`machine_learning_curated+option`) and with both.

    The training set has those with both.

    A person's device has one reading in a millisecond, other people's devices may have more.
    """
    devices = Counter(moment.time for person in cohort.consenting for moment in person.moments)
    pairs = Counter[str]()
    for person in cohort.consenting:
        for moment in person.moments:
            own = len(moment.vectors)
            all_devices = own * devices[moment.time]
            after = person.customer[CONSENTED] < moment.time
            pairs[TABLE] += all_devices
            pairs[f"{TABLE}+after_consent_only"] += all_devices * after
            pairs[f"{TABLE}+match_device"] += own
            pairs[f"{TABLE}+after_consent_only+match_device"] += own * after
    pairs["training_set"] = pairs[f"{TABLE}+after_consent_only+match_device"]
    return pairs


RECIPE = Recipe(None, rows)
