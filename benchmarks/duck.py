"""The eight tables by DuckDB: a rival to measure against.

Usage: python benchmarks/duck.py SOURCE_DATA OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

LANDING = {
    "customer": (
        "customerName: 'VARCHAR', email: 'VARCHAR', phone: 'VARCHAR', birthDay: 'VARCHAR', "
        "serialNumber: 'VARCHAR', registrationDate: 'BIGINT', lastUpdateDate: 'BIGINT', "
        "shareWithResearchAsOfDate: 'BIGINT', shareWithPublicAsOfDate: 'BIGINT', "
        "shareWithFriendsAsOfDate: 'BIGINT'"
    ),
    "accelerometer": (
        "user: 'VARCHAR', timestamp: 'BIGINT', x: 'DOUBLE', y: 'DOUBLE', z: 'DOUBLE'"
    ),
    "step_trainer": (
        "sensorReadingTime: 'BIGINT', serialNumber: 'VARCHAR', distanceFromObject: 'INTEGER'"
    ),
}
RULES = {
    "customer_trusted": "from customer_landing where shareWithResearchAsOfDate != 0",
    "accelerometer_trusted": """
        from accelerometer_landing phone
        semi join customer_trusted owner on phone.user = owner.email
    """,
    "customer_curated": """
        select distinct owner.* from customer_trusted owner
        semi join accelerometer_trusted phone on owner.email = phone.user
    """,
    "step_trainer_trusted": """
        from step_trainer_landing semi join customer_curated using (serialNumber)
    """,
    "machine_learning_curated": """
        select device.*, phone.timestamp, phone.x, phone.y, phone.z
        from step_trainer_trusted device
        join accelerometer_trusted phone on device.sensorReadingTime = phone.timestamp
        semi join customer_curated owner on phone.user = owner.email
    """,
}


def main(source: str, output: str) -> None:
    """Writes each table as Parquet and reads it from there."""
    connection = duckdb.connect()
    connection.execute("set preserve_insertion_order = false")
    connection.execute(f"set temp_directory = '{output}/spilled'")
    for name, columns in LANDING.items():
        files = f"'{source}/{name}/landing/*.json'"
        rows = f"read_json({files}, format = 'newline_delimited', columns = {{{columns}}})"
        keep(connection, f"from {rows}", output, f"{name}_landing")
    for table, query in RULES.items():
        keep(connection, query, output, table)


def keep(connection: duckdb.DuckDBPyConnection, query: str, output: str, table: str) -> None:
    """Writes a query's rows, and names the file like the table."""
    name, zone = table.rsplit("_", 1)
    folder = Path(output, name, zone)
    folder.mkdir(parents=True)
    connection.execute(f"copy ({query}) to '{folder}/rows.parquet' (format parquet)")
    connection.execute(f"create view {table} as from '{folder}/rows.parquet'")


if __name__ == "__main__":
    main(*sys.argv[1:])
