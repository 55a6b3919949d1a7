"""Each table's checks pass on good rows, and each of them fails on rows that break its rule."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame

from stedi_assets import tables
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.resources.source import SourceData
from stedi_assets.tables import LANDING_TABLES
from stedi_assets_tests.checks.conftest import (
    ANN,
    ANNS_DEVICE,
    ANNS_PAIR,
    ANNS_PHONE,
    BOB,
    BOBS_DEVICE,
    BOBS_PAIR,
    BOBS_PHONE,
    CHECKS,
    EVE,
    EVES_DEVICE,
    EVES_PHONE,
    GOOD,
    LATER,
    SUITES,
    ZOE,
    Check,
    Results,
)
from stedi_assets_tests.rows import (
    CLOCK,
    CUSTOMERS,
    MORNING,
    NOON,
    PAIRS,
    PSEUDONYMS,
    customer,
    device_reading,
    function_of,
    pair,
    phone_reading,
)

Frame = Callable[[str, list[tuple]], DataFrame]

WARNINGS = {
    "impossible_consent",
    "devices_shared_without_consent",
    "pairs_of_two_people",
    "readings_before_consent",
}


COUNTED = ("rows", "expected", "recorded_in_manifest")


def faults(results: Results) -> dict[str, Any]:
    """Check to what it found, of the checks that failed."""
    found: dict[str, Any] = {}
    for name, result in results.items():
        figures = {label: value.value for label, value in result.metadata.items()}
        if result.passed:
            continue
        if name == "counts":
            found[name] = tuple(figures[label] for label in COUNTED if label in figures)
        elif name == "schema":
            found[name] = figures["faults"]
        else:
            found[name] = figures["rows_at_fault"]
    return found


FURTHER = {
    "customer_trusted": {"people": 4, "people_agreeing": 2, "records": 4},
    "accelerometer_trusted": {"repeated": 0},
    "step_trainer_trusted": {"repeated": 0},
    "machine_learning_curated": {"people": 2, "fewest_rows_of_a_person": 1},
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


# Consent


def test__consent__customer_trusted_holds_one_who_never_agreed(check: Check) -> None:
    results = check("customer_trusted", customer_trusted=[ANN, BOB, EVE])
    assert faults(results) == {"consent": 1, "counts": (3, 2)}


def test__consent__customer_trusted_holds_one_whose_consent_is_zero(check: Check) -> None:
    results = check("customer_trusted", customer_trusted=[ANN, BOB, ZOE])
    assert faults(results) == {"consent": 1, "counts": (3, 2)}


def test__consent__accelerometer_trusted_after_a_tampered_parent(check: Check) -> None:
    results = check(
        "accelerometer_trusted",
        accelerometer_trusted=[ANNS_PHONE, BOBS_PHONE, EVES_PHONE],
        customer_trusted=[ANN, BOB, EVE],
    )
    assert faults(results) == {"consent": 1}


def test__consent__customer_curated_after_tampered_parents(check: Check) -> None:
    results = check(
        "customer_curated",
        customer_curated=[ANN, BOB, EVE],
        customer_trusted=[ANN, BOB, EVE],
        accelerometer_trusted=[ANNS_PHONE, BOBS_PHONE, EVES_PHONE],
    )
    assert faults(results) == {"consent": 1}


def test__consent__step_trainer_trusted_after_a_tampered_parent(check: Check) -> None:
    results = check(
        "step_trainer_trusted",
        step_trainer_trusted=[ANNS_DEVICE, BOBS_DEVICE, EVES_DEVICE],
        customer_curated=[ANN, BOB, EVE],
    )
    assert faults(results) == {"consent": 1, "devices_shared_without_consent": 1}


def test__consent__machine_learning_curated_after_tampered_parents(check: Check) -> None:
    eve = {
        "step_trainer_trusted": [BOBS_DEVICE, EVES_DEVICE],
        "accelerometer_trusted": [BOBS_PHONE, EVES_PHONE],
        "customer_curated": [BOB, (*EVE[:7], 1, *EVE[8:])],
    }
    pairs = [BOBS_PAIR, pair("device-eve", NOON, x=0.125)]
    assert faults(check("machine_learning_curated", machine_learning_curated=pairs, **eve)) == {
        "consent": 1
    }


def test__consent__machine_learning_curated_holds_a_phone_reading_without(check: Check) -> None:
    """The device is Ann's, whose phone was at rest: the acceleration is Eve's."""
    pairs = [pair("device-ann", NOON, x=0.125), BOBS_PAIR]
    results = check("machine_learning_curated", machine_learning_curated=pairs)
    assert faults(results) == {"consent": 1}


def test__consent__person_who_never_landed(check: Check) -> None:
    results = check("customer_trusted", customer_trusted=[ANN, customer("who@example.com")])
    assert faults(results) == {"consent": 1}


def test__devices_shared_without_consent__warns(check: Check) -> None:
    eve = customer("eve@example.com", "device-ann", None)
    results = check("step_trainer_trusted", customer_landing=[ANN, BOB, eve])
    assert faults(results) == {"devices_shared_without_consent": 1}


def test__consent__withdrawn_by_a_later_record(check: Check) -> None:
    withdrawal = (*ANN[:1], " Ann@Example.com", *ANN[2:6], LATER, None, *ANN[8:])
    withdrawn = {"customer_landing": [ANN, BOB, withdrawal]}
    assert faults(check("customer_trusted", **withdrawn)) == {"consent": 1, "counts": (2, 1)}
    assert faults(check("accelerometer_trusted", **withdrawn)) == {"consent": 1}
    assert faults(check("customer_curated", **withdrawn)) == {"consent": 1}
    assert faults(check("step_trainer_trusted", **withdrawn)) == {
        "consent": 1,
        "devices_shared_without_consent": 1,
    }
    assert faults(check("machine_learning_curated", **withdrawn)) == {"consent": 1}


@pytest.mark.parametrize("consent", [NOON // 1000, -NOON, 253_370_764_800_000])
def test__impossible_consent__warns(consent: int, check: Check) -> None:
    eve = customer("eve@example.com", "device-eve", consent)
    results = check("customer_trusted", customer_landing=[ANN, BOB, eve])
    assert faults(results) == {"impossible_consent": 1}
    assert str(results["impossible_consent"].description).startswith("1 of 3 people. People whose")


def test__counts__are_of_the_time_at_which_the_table_was_made(
    check: Check, landed: LakehouseIOManager, frame: Frame
) -> None:
    """Zoe's consent has come true since; she is in the table from the next run on."""
    landed.write(tables.CUSTOMER_TRUSTED, frame(CUSTOMERS, [ANN, BOB]), {"as_of": NOON})
    zoe = customer("zoe@example.com", "device-zoe", NOON + 1)
    results = check("customer_trusted", customer_landing=[ANN, BOB, zoe])
    assert faults(results) == {"impossible_consent": 1}


def test__devices_shared_without_consent__thirty_devices_of_609_people(check: Check) -> None:
    """Every other device is also somebody's who does not agree: who used it cannot be told."""
    people = [
        customer(f"{n}@example.com", f"device-{n % 30}", MORNING if n % 4 else None)
        for n in range(609)
    ]
    readings = [device_reading(f"device-{n % 30}", NOON + n) for n in range(60)]
    results = check(
        "step_trainer_trusted",
        customer_landing=people,
        customer_curated=[one for number, one in enumerate(people) if number % 4],
        step_trainer_landing=readings,
        step_trainer_trusted=readings,
    )
    assert faults(results) == {"devices_shared_without_consent": 30}
    assert results["counts"].metadata["expected"].value == 60


# Counts


@pytest.mark.parametrize(
    ("table", "further"),
    [
        ("customer_trusted", {"keys": 1}),
        ("accelerometer_trusted", {"keys": 1}),
        ("customer_curated", {"keys": 1}),
        ("step_trainer_trusted", {"keys": 1}),
        ("machine_learning_curated", {}),
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


@pytest.fixture
def manifest(tmp_path: Path, landed: LakehouseIOManager, frame: Frame) -> Callable[..., SourceData]:
    """Makes source data with a manifest that records some counts for what has landed."""
    for table in LANDING_TABLES:
        known = {"landing": landed.landing(table).profile.as_dict()}
        quarantine = tables.quarantine_of(table)
        landed.write(quarantine, frame(quarantine.ddl, []), known)

    def record(rows: dict[str, int], changed: str = "") -> SourceData:
        sources = {
            table.source: {"fingerprint": landed.landing(table).fingerprint}
            for table in LANDING_TABLES
        }
        if changed:
            sources[changed] = {"fingerprint": "0" * 64}
        content = json.dumps({"sources": sources, "rows": rows})
        (tmp_path / "manifest.json").write_text(content)
        return SourceData(path=str(tmp_path))

    return record


@pytest.mark.parametrize("table", SUITES)
def test__counts__differ_from_the_manifest(
    table: str, check: Check, manifest: Callable[..., SourceData]
) -> None:
    assert faults(check(table, source=manifest({table: 3}))) == {"counts": (2, 2, 3)}
    results = check(table, source=manifest({table: 2}))
    assert faults(results) == {}
    assert results["counts"].metadata["recorded_in_manifest"].value == 2


def test__counts__manifest_tells_of_other_files(
    check: Check, manifest: Callable[..., SourceData]
) -> None:
    source = manifest({"customer_trusted": 3}, changed="step_trainer")
    results = check("customer_trusted", source=source)
    assert faults(results) == {}
    assert "recorded_in_manifest" not in results["counts"].metadata


def test__counts__another_source_has_not_landed(
    check: Check, manifest: Callable[..., SourceData], landed: LakehouseIOManager, spark_resource
) -> None:
    source = manifest({"customer_trusted": 3})
    shutil.rmtree(Path(landed.uri) / "step_trainer")
    rules = function_of(SUITES["customer_trusted"])
    later = LakehouseIOManager(uri=landed.uri, spark=spark_resource)
    customers = later.read(tables.CUSTOMER_LANDING)
    trusted = customers.where("shareWithResearchAsOfDate > 0")
    results = rules(later, source, CLOCK, trusted, customers)
    assert faults({result.check_name: result for result in results}) == {}


def test__counts__manifest_records_the_options(
    check: Check,
    manifest: Callable[..., SourceData],
    landed: LakehouseIOManager,
    frame: Frame,
) -> None:
    made = frame(PAIRS, GOOD["machine_learning_curated"])
    options = {"match_device": True, "after_consent_only": True}
    landed.write(tables.MACHINE_LEARNING_CURATED, made, {"config": options})
    source = manifest(
        {
            "machine_learning_curated": 4,
            "machine_learning_curated+after_consent_only+match_device": 2,
        }
    )
    results = check("machine_learning_curated", source=source)
    assert faults(results) == {}
    assert results["counts"].metadata["recorded_in_manifest"].value == 2


# Keys and references


@pytest.mark.parametrize(
    ("table", "landing_table", "repeated", "further"),
    [
        # The first two are not kept twice by the rules; of the last neither is known to be wrong.
        (
            "customer_trusted",
            "customer_landing",
            (*ANN[:6], LATER, *ANN[7:]),
            {"counts": (3, 2)},
        ),
        ("accelerometer_trusted", "accelerometer_landing", ANNS_PHONE, {"counts": (3, 2)}),
        ("step_trainer_trusted", "step_trainer_landing", device_reading("device-ann", NOON, 1), {}),
    ],
)
def test__keys__two_rows_share_one(
    table: str, landing_table: str, repeated: tuple, further: dict, check: Check
) -> None:
    changed = {name: [repeated, *GOOD[name]] for name in (table, landing_table)}
    assert faults(check(table, **changed)) == {"keys": 1, **further}


def test__keys__a_customer_is_curated_twice(check: Check) -> None:
    people = [ANN, (*ANN[:6], LATER, *ANN[7:]), BOB]
    results = check("customer_curated", customer_curated=people, customer_trusted=people)
    assert faults(results) == {"keys": 1}


@pytest.mark.parametrize(
    ("table", "parent"),
    [
        ("accelerometer_trusted", {"customer_trusted": [ANN]}),
        ("customer_curated", {"accelerometer_trusted": [ANNS_PHONE]}),
        ("step_trainer_trusted", {"customer_curated": [ANN]}),
        ("machine_learning_curated", {"step_trainer_trusted": [ANNS_DEVICE]}),
        ("machine_learning_curated", {"accelerometer_trusted": [ANNS_PHONE]}),
    ],
)
def test__references__row_has_no_parent(table: str, parent: dict, check: Check) -> None:
    assert faults(check(table, **parent)) == {"references": 1, "counts": (2, 1)}


# Schema and values


def test__schema__column_is_not_declared(check: Check, frame: Frame) -> None:
    made = frame(f"{CUSTOMERS}, score double", [(*ANN, 0.5), (*BOB, 0.5)])
    results = check("customer_trusted", customer_trusted=made)
    assert faults(results) == {"schema": ["score is not declared"]}


def test__schema__column_has_another_type(check: Check, frame: Frame) -> None:
    made = frame(PAIRS.replace("`x` double", "`x` float"), GOOD["machine_learning_curated"])
    results = check("machine_learning_curated", machine_learning_curated=made)
    assert faults(results) == {"schema": ["x is float instead of double"]}


def test__schema__column_is_missing(check: Check, frame: Frame) -> None:
    made = frame(CUSTOMERS, [ANN, BOB]).drop("phone", "registrationDate")
    results = check("customer_trusted", customer_trusted=made)
    assert faults(results)["schema"] == ["phone is missing", "registrationDate is missing"]


@pytest.mark.parametrize("table", ["accelerometer_trusted", "machine_learning_curated"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test__values__acceleration_is_not_finite(table: str, value: float, check: Check) -> None:
    phones = [phone_reading("ann@example.com", NOON, value), BOBS_PHONE]
    changed = {
        "accelerometer_landing": phones,
        "accelerometer_trusted": phones,
        "machine_learning_curated": [pair("device-ann", NOON, value), BOBS_PAIR],
    }
    assert faults(check(table, **changed)) == {"values": 1}


@pytest.mark.parametrize("table", ["step_trainer_trusted", "machine_learning_curated"])
def test__values__distance_is_zero(table: str, check: Check) -> None:
    devices = [device_reading("device-ann", NOON, 0), BOBS_DEVICE]
    changed = {
        "step_trainer_landing": devices,
        "step_trainer_trusted": devices,
        "machine_learning_curated": [pair("device-ann", NOON, distance=0), BOBS_PAIR],
    }
    assert faults(check(table, **changed)) == {"values": 1}


@pytest.mark.parametrize("table", ["customer_trusted", "customer_curated"])
def test__values__customer_may_have_no_device(table: str, check: Check) -> None:
    people = [(*ANN[:4], None, *ANN[5:]), BOB]
    changed = {name: people for name in GOOD if name.startswith("customer")}
    assert faults(check(table, **changed)) == {}


# Personal data, pairs of two people, readings before consent


@pytest.mark.parametrize(
    "serial", ["ann@example.com", "Eve Everett", "8015550104"], ids=["e-mail", "name", "phone"]
)
def test__no_personal_data__serial_number_names_a_customer(serial: str, check: Check) -> None:
    pairs = [pair(serial, NOON), BOBS_PAIR]
    results = check("machine_learning_curated", machine_learning_curated=pairs)
    assert faults(results) == {"no_personal_data": 1, "consent": 1, "references": 1}


def test__no_personal_data__number_is_a_phone(check: Check) -> None:
    ann = (*ANN[:2], str(NOON), *ANN[3:])
    results = check("machine_learning_curated", customer_landing=[ann, BOB])
    assert faults(results) == {"no_personal_data": 1}


def test__no_personal_data__whole_number_as_a_double_is_a_phone(check: Check) -> None:
    phones = [phone_reading("ann@example.com", NOON, 8015550103.0), BOBS_PHONE]
    results = check(
        "machine_learning_curated",
        machine_learning_curated=[pair("device-ann", NOON, 8015550103.0), BOBS_PAIR],
        accelerometer_landing=phones,
        accelerometer_trusted=phones,
    )
    assert faults(results) == {"no_personal_data": 1}


AT_NOON = {
    "accelerometer_landing": [ANNS_PHONE, phone_reading("bob@example.com", NOON, 0.5)],
    "accelerometer_trusted": [ANNS_PHONE, phone_reading("bob@example.com", NOON, 0.5)],
    "step_trainer_trusted": [ANNS_DEVICE, device_reading("device-bob", NOON)],
}
OWN_PAIRS = [ANNS_PAIR, pair("device-bob", NOON, 0.5)]
OTHERS_PAIRS = [pair("device-ann", NOON, 0.5), pair("device-bob", NOON)]


def test__pairs_of_two_people__warns(check: Check) -> None:
    pairs = [*OWN_PAIRS, *OTHERS_PAIRS]
    results = check("machine_learning_curated", machine_learning_curated=pairs, **AT_NOON)
    assert faults(results) == {"pairs_of_two_people": 2}


def test__pairs_of_two_people__none_with_match_device(
    check: Check, landed: LakehouseIOManager, frame: Frame
) -> None:
    made = frame(PAIRS, OWN_PAIRS)
    landed.write(tables.MACHINE_LEARNING_CURATED, made, {"config": {"match_device": True}})
    results = check("machine_learning_curated", machine_learning_curated=made, **AT_NOON)
    assert faults(results) == {}
    assert results["pairs_of_two_people"].metadata["rows"].value == 2


def test__counts__match_device_was_asked_for_and_not_applied(
    check: Check, landed: LakehouseIOManager, frame: Frame
) -> None:
    made = frame(PAIRS, [*OWN_PAIRS, *OTHERS_PAIRS])
    landed.write(tables.MACHINE_LEARNING_CURATED, made, {"config": {"match_device": True}})
    results = check("machine_learning_curated", machine_learning_curated=made, **AT_NOON)
    assert faults(results) == {"counts": (4, 2)}


AGREED_AT_NOON = {
    "customer_landing": [(*ANN[:7], NOON, *ANN[8:]), BOB],
    "customer_curated": [(*ANN[:7], NOON, *ANN[8:]), BOB],
}


def test__readings_before_consent__warns_of_the_same_millisecond(check: Check) -> None:
    results = check("machine_learning_curated", **AGREED_AT_NOON)
    assert faults(results) == {"readings_before_consent": 1}


def test__readings_before_consent__none_with_after_consent_only(
    check: Check, landed: LakehouseIOManager, frame: Frame
) -> None:
    made = frame(PAIRS, [BOBS_PAIR])
    landed.write(tables.MACHINE_LEARNING_CURATED, made, {"config": {"after_consent_only": True}})
    results = check("machine_learning_curated", machine_learning_curated=made, **AGREED_AT_NOON)
    assert faults(results) == {}
    assert results["readings_before_consent"].metadata["rows"].value == 1


def test__machine_learning_checks__know_pseudonyms(
    check: Check, landed: LakehouseIOManager, frame: Frame
) -> None:
    made = PSEUDONYMS.of(frame(PAIRS, GOOD["machine_learning_curated"]), "serialNumber")
    options = {"config": {"pseudonymise_devices": True}}
    landed.write(tables.MACHINE_LEARNING_CURATED, made, options)
    assert faults(check("machine_learning_curated", machine_learning_curated=made)) == {}
    assert faults(check("machine_learning_curated")) == {"consent": 2, "references": 2}


def test__machine_learning_checks__know_the_options_after_maintenance(
    check: Check, landed: LakehouseIOManager, frame: Frame
) -> None:
    table, made = tables.MACHINE_LEARNING_CURATED, frame(PAIRS, OWN_PAIRS)
    landed.write(table, made, {"config": {"match_device": True}})
    landed.write(table, made, {"config": {"match_device": True}})
    delta = DeltaTable(landed.uri_of(table))
    delta.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    results = check("machine_learning_curated", machine_learning_curated=made, **AT_NOON)
    assert faults(results) == {}


# What Dagster makes of them


@pytest.mark.parametrize("table", SUITES)
def test__checks__are_declared_with_a_description(table: str) -> None:
    specs = {spec.name: spec for spec in SUITES[table].check_specs}
    assert set(specs) == CHECKS[table]
    assert {name for name, spec in specs.items() if spec.blocking} == {"consent", "counts"}
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
