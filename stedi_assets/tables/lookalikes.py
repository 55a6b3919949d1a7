"""People whose addresses look like another's: perhaps one person whom the rule takes for two."""

from collections import Counter

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from stedi_assets.tables.consent import lookalike_of, person

# No engine has NFKC, so addresses beyond ASCII come to this process: so many, and none longer than
# an address may be (RFC 5321), which is 30 MB at most.
MOST_ADDRESSES = 100_000
LONGEST_ADDRESS = 320


def near_duplicates(customer_landing: DataFrame) -> int:
    """How many people's addresses are another person's by `consent.lookalike_of`.

    Looks at `MOST_ADDRESSES` of the people whose address is not ASCII, and at all others beside
    them. One query, and a second where there are any.

    Args:
        customer_landing: The customer records.
    """
    people = customer_landing.select(person("email").alias("email")).dropna().distinct()
    beyond_ascii = F.col("email").rlike(r"[^\x00-\x7f]")
    unusual = people.where(beyond_ascii & (F.length("email") <= LONGEST_ADDRESS))
    addresses = unusual.limit(MOST_ADDRESSES).toArrow()["email"]
    looks = Counter(lookalike_of(address.as_py()) for address in addresses)
    if not looks:
        return 0
    seen = people.sparkSession.createDataFrame(list(looks.items()), "email string, people bigint")
    # What is ASCII looks as it is written.
    plain = people.where(~beyond_ascii).withColumn("plain", F.lit(1))
    alike = F.col("people") + F.coalesce("plain", F.lit(0))
    [[found]] = (
        seen.join(plain, "email", "left")
        .agg(F.sum(F.when(alike > 1, alike).otherwise(0)))
        .collect()
    )
    return int(found)
