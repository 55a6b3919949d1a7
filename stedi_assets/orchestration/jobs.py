"""The jobs that people, schedules and sensors start."""

import dagster as dg

from stedi_assets.orchestration import erase as erasure
from stedi_assets.orchestration import maintenance

materialize_lakehouse = dg.define_asset_job(
    "materialize_lakehouse",
    selection=dg.AssetSelection.all(),
    description="Uploads what is new, rebuilds every table and checks them all.",
    tags={"scope": "lakehouse"},
)

refresh_from_landing = dg.define_asset_job(
    "refresh_from_landing",
    selection=dg.AssetSelection.all(),
    description=(
        "Takes in what arrived, rebuilds what is downstream of it and checks that. The landing "
        "sensor starts it and selects its assets; by hand it takes in everything."
    ),
    tags={"scope": "source"},
)

JOBS = (
    materialize_lakehouse,
    refresh_from_landing,
    maintenance.maintenance,
    erasure.erase_withdrawn,
)
