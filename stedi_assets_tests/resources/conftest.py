"""A Glue Data Catalog, and a table for it."""

from __future__ import annotations

import pytest

from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.tables import Column, Table, Zone
from stedi_assets.tables.columns import ColumnType
from stedi_assets.tables.schema import Person

TABLE = Table(
    "phone",
    Zone.TRUSTED,
    "A reading of a phone.",
    (
        Column("userEmail", ColumnType.STRING, "Who moved", personal=True),
        Column("movedAt", ColumnType.BIGINT, "When"),
    ),
    subjects=(Person("userEmail"),),
    rule=lambda phone_landing: phone_landing,
)
URI = "s3://bucket/prefix/phone/trusted"
FIRST = {"recordCount": "3", "version": "0"}


@pytest.fixture
def catalog(glue_database: str) -> GlueCatalog:
    return GlueCatalog(database=glue_database)
