"""The eight tables by DuckDB with this project's duty: a rival to measure against.

It copies, hashes and judges the files, quarantines what is malformed, takes each person's latest
word, removes duplicates, and writes Delta through delta-rs.

Usage: python -m benchmarks.duck_duty SOURCE_DATA OUTPUT
"""

from __future__ import annotations

import sys
import time

import duckdb
from deltalake import DeltaTable, write_deltalake

from benchmarks import duty
from benchmarks.duck import LANDING, RULES

BATCH_ROWS = 1 << 16
TRUSTED = """
    with records as (
        select * replace (nullif(lower(trim(email, $invisible)), '') as email)
        from customer_landing
    ),
    judged as (
        select *,
            coalesce(
                shareWithResearchAsOfDate between $first and $last
                and coalesce(nullif(lastUpdateDate, 0) between $first and $last, true),
                false
            ) as agrees,
            coalesce(lastUpdateDate, 0) as date,
            if(date < $first and date != 0, 9223372036854775807, date) as written
        from records
        where email is not null
        qualify row_number() over (
            partition by email
            order by written desc, agrees, shareWithResearchAsOfDate desc nulls last, {columns}
        ) = 1
    ),
    devices as (
        select distinct email, serialNumber from records where trim(serialNumber, $invisible) != ''
    )
    select person.* exclude (agrees, date, written)
        replace (device.serialNumber as serialNumber)
    from judged person left join devices device using (email)
    where agrees
"""
OTHERS = {
    **RULES,
    "accelerometer_trusted": """
        select distinct * replace (lower(trim(user, $invisible)) as user)
        from accelerometer_landing phone
        semi join customer_trusted owner on lower(trim(phone.user, $invisible)) = owner.email
    """,
    "step_trainer_trusted": """
        select distinct * from step_trainer_landing
        semi join customer_curated using (serialNumber)
    """,
}


def main(source: str, output: str) -> None:
    """Writes each table as Delta and reads it from there."""
    connection = duckdb.connect()
    connection.execute("set preserve_insertion_order = false")
    connection.execute(f"set temp_directory = '{output}/spilled'")
    constants = {"invisible": duty.INVISIBLE, "first": duty.YEAR_2000}
    constants["last"] = int(time.time() * 1000)

    def keep(query: str, table: str, folder: str) -> None:
        used = {name: value for name, value in constants.items() if f"${name}" in query}
        rows = connection.sql(query, params=used).to_arrow_reader(BATCH_ROWS)
        write_deltalake(f"{output}/{folder}", rows)
        files = DeltaTable(f"{output}/{folder}").file_uris()
        connection.execute(f"create view {table} as from read_parquet({files})")

    for name, columns in LANDING.items():
        landed = duty.land(source, output, name)
        connection.register("parsed", landed.table)
        read = f"read_json({landed.files}, format = 'newline_delimited', columns = {{{columns}}})"
        rows = "replace (x + 0.0 as x, y + 0.0 as y, z + 0.0 as z)" if "x: " in columns else ""
        query = f"select * {rows} from {read} union all from parsed"  # -0.0 is 0.0
        keep(query, f"{name}_landing", f"{name}/records")
        write_deltalake(f"{output}/{name}/quarantine", landed.quarantine)
    columns = ", ".join(f'"{each.name}" nulls last' for each in duty.SOURCES["customer"])
    for table, query in {**OTHERS, "customer_trusted": TRUSTED.format(columns=columns)}.items():
        query = query if query.split()[0] in ("select", "with") else f"select * {query}"
        keep(query, table, "/".join(table.rsplit("_", 1)))


if __name__ == "__main__":
    main(*sys.argv[1:])
