from hypothesis import given
from hypothesis import strategies as st

from stedi_assets.lakehouse.counted import Counted
from stedi_assets.tables.buckets import BUCKET_MILLISECONDS

NUMBERS = st.integers(-6, 6)


def counted(numbers: set[int], rows: int) -> Counted:
    return Counted(buckets={number: {"rows": rows} for number in numbers}, faults={})


@given(before=st.sets(NUMBERS), changed=st.sets(NUMBERS), now=st.sets(NUMBERS))
def test__with_ranges__replaces_the_counts_of_these_times_alone(
    before: set[int], changed: set[int], now: set[int]
) -> None:
    starts = [number * BUCKET_MILLISECONDS for number in sorted(changed)]
    ranges = tuple((start, start + BUCKET_MILLISECONDS - 1) for start in starts)
    found = counted(before, 1).with_ranges(ranges, counted(now & changed, 2))
    assert found.buckets == {
        **{number: {"rows": 1} for number in before - changed},
        **{number: {"rows": 2} for number in now & changed},
    }
