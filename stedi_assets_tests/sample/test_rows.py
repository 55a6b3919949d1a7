"""The rows of every table are counted as pandas counts them from the files."""

from __future__ import annotations

import pytest

from stedi_assets.sample import Acceleration, Cohort, Distance, count_rows
from stedi_assets_tests.sample.conftest import Sample


def _recount(sample: Sample) -> dict[str, int]:
    customers, phones, devices = sample.frames
    consent = "shareWithResearchAsOfDate"
    latest = customers.sort_values("lastUpdateDate").drop_duplicates("email", keep="last")
    customer_trusted = latest[latest[consent].notna()]
    phones_trusted = phones[phones.user.isin(customer_trusted.email)].drop_duplicates()
    curated = customer_trusted[customer_trusted.email.isin(phones_trusted.user)]
    known = devices.serialNumber.isin(curated.serialNumber)
    devices_trusted = devices[known].drop_duplicates()
    owner = curated[["email", "serialNumber", consent]].rename(columns={"serialNumber": "own"})
    joined = (
        devices_trusted.merge(phones_trusted, left_on="sensorReadingTime", right_on="timestamp")
        .merge(owner, left_on="user", right_on="email")
        .assign(
            after=lambda rows: rows[consent] < rows.sensorReadingTime,
            match=lambda rows: rows.own == rows.serialNumber,
        )
    )
    return {
        "customer_landing": len(customers),
        "accelerometer_landing": len(phones),
        "step_trainer_landing": len(devices),
        "customer_trusted": len(customer_trusted),
        "accelerometer_trusted": len(phones_trusted),
        "customer_curated": len(curated),
        "step_trainer_trusted": len(devices_trusted),
        "machine_learning_curated": len(joined),
        "machine_learning_curated+after_consent_only": int(joined.after.sum()),
        "machine_learning_curated+match_device": int(joined.match.sum()),
        "machine_learning_curated+after_consent_only+match_device": int(
            (joined.after & joined.match).sum()
        ),
    }


def test__count_rows__two_people_in_one_millisecond() -> None:
    ada = {"email": "ada", "serialNumber": "A", "shareWithResearchAsOfDate": 100}
    ben = {"email": "ben", "serialNumber": "B", "shareWithResearchAsOfDate": 250}
    eve = {"email": "eve", "serialNumber": "E"}
    people = Cohort(
        customers=[ada, ben, eve, ada],
        accelerations=[
            Acceleration("ada", 100, "x"),
            Acceleration("ada", 200, "x"),
            Acceleration("ada", 200, "y"),
            Acceleration("ben", 200, "x"),
            Acceleration("eve", 200, "x"),
        ],
        distances=[
            Distance(100, "A", 201),
            Distance(200, "A", 201),
            Distance(200, "B", 201),
            Distance(200, "E", 201),
        ],
    )
    assert count_rows(people) == {
        "customer_landing": 4,
        "accelerometer_landing": 5,
        "step_trainer_landing": 4,
        "customer_trusted": 2,
        "accelerometer_trusted": 4,
        "customer_curated": 2,
        "step_trainer_trusted": 3,
        "machine_learning_curated": 1 + 3 * 2,
        "machine_learning_curated+after_consent_only": 2 * 2,
        "machine_learning_curated+match_device": 1 + 3,
        "machine_learning_curated+after_consent_only+match_device": 2,
    }


@pytest.mark.parametrize("kind", ["plain", "hard", "many"])
def test__manifest__rows_are_those_of_the_files(kind: str, request: pytest.FixtureRequest) -> None:
    sample: Sample = request.getfixturevalue(kind)
    assert sample.manifest["rows"] == _recount(sample)
