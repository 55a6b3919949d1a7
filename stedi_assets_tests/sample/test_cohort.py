"""The people of a sample have the structure of the real data, and are none of them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from stedi_assets.sample.cohort import make_cohort
from stedi_assets.sample.spec import SampleSpec
from stedi_assets_tests.sample.conftest import SEED, Sample


def test__write_sample__has_the_counts_of_the_real_data(plain: Sample) -> None:
    customers, phones, devices = plain.frames
    assert (len(customers), len(phones), len(devices)) == (956, 81_273, 28_680)
    assert customers.shareWithResearchAsOfDate.isna().sum() == 474
    assert phones.groupby("user").size().between(77, 90).all()
    assert not phones.duplicated().any()
    assert not devices.duplicated(["serialNumber", "sensorReadingTime"]).any()


def test__write_sample__people_are_invented_and_unique(plain: Sample) -> None:
    customers, _, _ = plain.frames
    assert customers.customerName.is_unique
    assert customers.email.str.fullmatch(r"[a-z.]+@example\.(com|org|net)").all()
    assert customers.email.is_unique
    assert customers.phone.str.fullmatch(r"[2-9]\d\d55501\d\d").all()
    assert customers.phone.nunique() > 900
    assert customers.birthDay.between("1930-01-01", "2005-12-31").all()
    assert customers.serialNumber.str.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").all()
    assert customers.serialNumber.is_unique


def test__write_sample__phone_and_device_share_thirty_evenly_spaced_times(plain: Sample) -> None:
    customers, phones, devices = plain.frames
    email = customers.set_index("serialNumber").email
    of_device = devices.groupby(devices.serialNumber.map(email)).sensorReadingTime
    times = of_device.apply(lambda group: tuple(sorted(group)))
    of_phone = phones.groupby("user").timestamp.apply(lambda group: tuple(sorted(set(group))))
    assert times.equals(of_phone.reindex(times.index))
    steps = times.map(lambda group: set(pd.Series(group).diff().dropna()))
    assert times.map(len).eq(30).all()
    assert steps.map(len).eq(1).all()
    assert steps.map(min).between(2_033, 4_000).all()
    assert set(map(tuple, phones[["x", "y", "z"]].drop_duplicates().to_numpy())) == {
        (x, y, z) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0) for z in (-1.0, 0.0)
    }
    assert (devices.distanceFromObject.min(), devices.distanceFromObject.max()) == (201, 300)


def test__write_sample__people_share_timestamps_across_consent(plain: Sample) -> None:
    customers, phones, _ = plain.frames
    consenting = set(customers.dropna(subset="shareWithResearchAsOfDate").email)
    people = phones.drop_duplicates(["user", "timestamp"])
    people = people.assign(consents=people.user.isin(consenting))
    at_time = people.groupby("timestamp").consents.agg(["size", "sum"])
    shares = at_time["size"].value_counts(normalize=True)
    assert 0.04 < shares[2] < 0.07
    assert shares[shares.index > 2].sum() > 0
    pairs = at_time[at_time["size"] == 2]["sum"].value_counts()
    assert pairs.index.isin([0, 1, 2]).all()
    assert pairs.min() > 100


def test__write_sample__consent_comes_before_during_and_after_the_recording(plain: Sample) -> None:
    customers, phones, _ = plain.frames
    consent = customers.set_index("email").shareWithResearchAsOfDate.dropna()
    times = phones.groupby("user").timestamp.agg(["min", "max"]).loc[consent.index]
    before, after = consent < times["min"], consent >= times["max"]
    assert (before.sum(), (~before & ~after).sum(), after.sum()) == (96, 368, 18)
    # Some consent in the millisecond of a reading: there `<` and `<=` part.
    own = phones.merge(consent, left_on=["user", "timestamp"], right_on=["email", consent])
    assert own.user.nunique() > 5
    for audience in ("Public", "Friends"):
        shared = customers[f"shareWith{audience}AsOfDate"].notna()
        assert 0.4 < shared.mean() < 0.6
        assert 0.4 < shared[customers.email.isin(consent.index)].mean() < 0.6


def test__make_cohort__another_seed_gives_other_people(plain: Sample) -> None:
    customers, _, _ = plain.frames
    others = pd.DataFrame(p.customer for p in make_cohort(SampleSpec(seed=SEED + 1), 0).people)
    assert set(customers.serialNumber).isdisjoint(others.serialNumber)
    assert (customers.email != others.email).mean() > 0.9
    assert (customers.registrationDate != others.registrationDate).mean() > 0.9


def test__write_sample__cohorts_share_no_person_device_or_time(many: Sample) -> None:
    customers, phones, _ = many.frames
    people = customers.drop_duplicates("email")
    assert len(people) == people.serialNumber.nunique() == 5 * 40
    cohort_of = phones.user.str.extract(r"\.(\d+)@")[0].fillna("0")
    assert sorted(cohort_of.unique()) == ["0", "1", "2", "3", "4"]
    assert cohort_of.groupby(phones.timestamp).nunique().eq(1).all()


def test__write_sample__withdrawal_is_a_later_record_without_consent(hard: Sample) -> None:
    customers, _, _ = hard.frames
    customers = customers.drop_duplicates()
    repeated = customers[customers.email.duplicated(keep=False)]
    first = repeated.drop_duplicates("email", keep="first").set_index("email").sort_index()
    later = repeated.drop_duplicates("email", keep="last").set_index("email").sort_index()
    assert len(first) == len(later) == 48
    assert first.shareWithResearchAsOfDate.notna().all()
    assert later.shareWithResearchAsOfDate.isna().all()
    assert (later.lastUpdateDate > first.lastUpdateDate).all()
    changed = ["lastUpdateDate", "shareWithResearchAsOfDate"]
    pd.testing.assert_frame_equal(first.drop(columns=changed), later.drop(columns=changed))


def test__write_sample__no_one_of_the_real_data(plain: Sample, reference_data: Path) -> None:
    landed = (reference_data / "customer" / "landing").glob("*.json*")
    real = [json.loads(line) for path in landed for line in path.read_text().splitlines()]
    customers, _, _ = plain.frames
    assert real
    for field in ("customerName", "email", "phone", "serialNumber"):
        assert not {person[field] for person in real} & set(customers[field])
