"""The checks of machine_learning_curated go by the options that the table was made with."""

from __future__ import annotations

from deltalake import DeltaTable

from stedi_assets.lakehouse.commit import Commit
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.policy import Options
from stedi_assets.tables.machine_learning import MACHINE_LEARNING_CURATED
from stedi_assets_tests.checks.conftest import (
    ANN,
    ANNS_DEVICE,
    ANNS_PAIR,
    ANNS_PHONE,
    BOB,
    BOBS_PAIR,
    GOOD,
    Check,
    faults,
)
from stedi_assets_tests.rows import (
    NOON,
    PAIRS,
    PSEUDONYMS,
    Frame,
    device_reading,
    pair,
    phone_reading,
)

AT_NOON = {
    "accelerometer_landing": [ANNS_PHONE, phone_reading("bob@example.com", NOON, 0.5)],
    "accelerometer_trusted": [ANNS_PHONE, phone_reading("bob@example.com", NOON, 0.5)],
    "step_trainer_trusted": [ANNS_DEVICE, device_reading("device-bob", NOON)],
}
OWN_PAIRS = [ANNS_PAIR, pair("device-bob", NOON, 0.5)]
OTHERS_PAIRS = [pair("device-ann", NOON, 0.5), pair("device-bob", NOON)]


def test__pairs_of_two_people__are_counted(check: Check) -> None:
    pairs = [*OWN_PAIRS, *OTHERS_PAIRS]
    results = check("machine_learning_curated", machine_learning_curated=pairs, **AT_NOON)
    assert faults(results) == {"pairs_of_two_people": 2}


def test__pairs_of_two_people__none_with_match_device(
    check: Check, landed: Lakehouse, frame: Frame
) -> None:
    made = frame(PAIRS, OWN_PAIRS)
    landed.write(MACHINE_LEARNING_CURATED, made, Commit(config=Options(match_device=True)))
    results = check("machine_learning_curated", machine_learning_curated=made, **AT_NOON)
    assert faults(results) == {}
    assert results["pairs_of_two_people"].metadata["rows"].value == 2


def test__counts__match_device_was_asked_for_and_not_applied(
    check: Check, landed: Lakehouse, frame: Frame
) -> None:
    made = frame(PAIRS, [*OWN_PAIRS, *OTHERS_PAIRS])
    landed.write(MACHINE_LEARNING_CURATED, made, Commit(config=Options(match_device=True)))
    results = check("machine_learning_curated", machine_learning_curated=made, **AT_NOON)
    assert faults(results) == {"counts": (4, 2)}


AGREED_AT_NOON = {
    "customer_landing": [(*ANN[:7], NOON, *ANN[8:]), BOB],
    "customer_curated": [(*ANN[:7], NOON, *ANN[8:]), BOB],
}


def test__readings_before_consent__counts_the_same_millisecond(check: Check) -> None:
    results = check("machine_learning_curated", **AGREED_AT_NOON)
    assert faults(results) == {"readings_before_consent": 1}


def test__readings_before_consent__none_with_after_consent_only(
    check: Check, landed: Lakehouse, frame: Frame
) -> None:
    made = frame(PAIRS, [BOBS_PAIR])
    options = Options(after_consent_only=True)
    landed.write(MACHINE_LEARNING_CURATED, made, Commit(config=options))
    results = check("machine_learning_curated", machine_learning_curated=made, **AGREED_AT_NOON)
    assert faults(results) == {}
    assert results["readings_before_consent"].metadata["rows"].value == 1


def test__machine_learning_checks__know_pseudonyms(
    check: Check, landed: Lakehouse, frame: Frame
) -> None:
    made = PSEUDONYMS.of(frame(PAIRS, GOOD["machine_learning_curated"]), "serialNumber")
    options = Commit(config=Options(pseudonymise_devices=True))
    landed.write(MACHINE_LEARNING_CURATED, made, options)
    assert faults(check("machine_learning_curated", machine_learning_curated=made)) == {}
    assert faults(check("machine_learning_curated")) == {"consent": 2, "references": 2}


def test__machine_learning_checks__know_the_options_after_maintenance(
    check: Check, landed: Lakehouse, frame: Frame
) -> None:
    table, made = MACHINE_LEARNING_CURATED, frame(PAIRS, OWN_PAIRS)
    landed.write(table, made, Commit(config=Options(match_device=True)))
    landed.write(table, made, Commit(config=Options(match_device=True)))
    delta = DeltaTable(landed.uri_of(table))
    delta.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    results = check("machine_learning_curated", machine_learning_curated=made, **AT_NOON)
    assert faults(results) == {}
