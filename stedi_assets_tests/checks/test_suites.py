"""Each table's checks pass on good rows, and each of them fails on rows that break its rule."""

from __future__ import annotations

import pytest

from stedi_assets_tests.bound import SUITES
from stedi_assets_tests.checks.conftest import (
    ANN,
    CHECKS,
    EVE,
    EVES_PHONE,
    GOOD,
    ZOE,
    Check,
    faults,
)
from stedi_assets_tests.rows import pair

WARNINGS = {
    "impossible_consent",
    "near_duplicate_people",
    "devices_shared_without_consent",
    "pairs_of_two_people",
    "readings_before_consent",
    "split_balance",
}

FURTHER = {
    "customer_trusted": {
        "people": 4,
        "people_agreeing": 2,
        "people_withdrawn": 0,
        "records": 4,
    },
    "accelerometer_trusted": {"repeated": 0},
    "customer_curated": {"repeated": 0},
    "step_trainer_trusted": {"repeated": 0},
    "machine_learning_curated": {"people": 2, "fewest_rows_of_a_person": 1},
    "training_set": {"people": 2, "fewest_rows_of_a_person": 1},
}


@pytest.mark.parametrize("table", SUITES)
def test__checks__good_rows(table: str, check: Check) -> None:
    results = check(table)
    assert set(results) == CHECKS[table]
    assert faults(results) == {}
    figures = {name: value.value for name, value in results["counts"].metadata.items()}
    assert figures == {"rows": 2, "expected": 2, **FURTHER.get(table, {})}


@pytest.mark.parametrize("table", SUITES)
def test__checks__nothing_landed(table: str, check: Check) -> None:
    assert faults(check(table, **{name: [] for name in GOOD})) == {}


@pytest.mark.parametrize("table", SUITES)
def test__checks__severity(table: str, check: Check) -> None:
    warned = {name for name, result in check(table).items() if result.severity.value == "WARN"}
    assert warned == CHECKS[table] & WARNINGS


# Counts


@pytest.mark.parametrize(
    ("table", "further"),
    [
        ("customer_trusted", {"keys": 1}),
        ("accelerometer_trusted", {"keys": 1}),
        ("customer_curated", {"keys": 1}),
        ("step_trainer_trusted", {"keys": 1}),
        ("machine_learning_curated", {}),
        ("customer_training", {"keys": 1}),
        ("training_set", {}),
    ],
)
def test__counts__a_join_multiplied_rows(table: str, further: dict, check: Check) -> None:
    first, second = GOOD[table]
    results = check(table, **{table: [first, first, second]})
    assert faults(results) == {"counts": (3, 2), **further}


@pytest.mark.parametrize("table", SUITES)
def test__counts__a_row_was_lost(table: str, check: Check) -> None:
    assert faults(check(table, **{table: GOOD[table][:1]})) == {"counts": (1, 2)}


@pytest.mark.parametrize("table", SUITES)
def test__counts__every_row_was_lost(table: str, check: Check) -> None:
    assert faults(check(table, **{table: []})) == {"counts": (0, 2)}


# What Dagster makes of them


@pytest.mark.parametrize("table", SUITES)
def test__checks__are_declared_with_a_description(table: str) -> None:
    specs = {spec.name: spec for spec in SUITES[table].check_specs}
    assert set(specs) == CHECKS[table]
    blocking = {name for name, spec in specs.items() if spec.blocking}
    assert blocking == {"consent", "counts", "policy", "split_leakage"} & CHECKS[table]
    for spec in specs.values():
        assert spec.description
        assert spec.description.endswith(".")


def test__checks__show_no_personal_value(check: Check) -> None:
    pairs = [pair("ann@example.com", 8015550101), pair("Eve Everett"), pair("8015550104")]
    told = "\n".join(
        [
            repr(check("machine_learning_curated", machine_learning_curated=pairs)),
            repr(check("customer_trusted", customer_trusted=[ANN, ANN, EVE, ZOE])),
            repr(check("customer_curated", customer_curated=[ANN, ANN, EVE, ZOE])),
            repr(check("accelerometer_trusted", accelerometer_trusted=[EVES_PHONE])),
        ]
    )
    assert "rows_at_fault" in told
    for name, email, phone, birth_day, *_ in GOOD["customer_landing"]:
        assert not [value for value in (name, email, phone, birth_day) if value in told]
