"""The jobs that people and schedules start."""

import dagster as dg

materialize_lakehouse = dg.define_asset_job(
    "materialize_lakehouse",
    selection=dg.AssetSelection.all(),
    description="Uploads what is new, rebuilds every table and checks them all.",
)
