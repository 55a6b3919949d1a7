"""The jobs that people, schedules and sensors start."""

import dagster as dg

from stedi_assets.orchestration import audit, erase, maintenance, publish

materialize_lakehouse = dg.define_asset_job(
    "materialize_lakehouse",
    selection=dg.AssetSelection.all(),
    description="Uploads what is new, updates every table and checks it.",
    tags={"scope": "lakehouse"},
)

refresh_from_landing = dg.define_asset_job(
    "refresh_from_landing",
    selection=dg.AssetSelection.all(),
    description=(
        "Lands new files, updates what is downstream of them and checks it. The landing sensor "
        "starts it and selects its assets; started by hand it does so for every source."
    ),
    tags={"scope": "source"},
)

JOBS = (
    materialize_lakehouse,
    refresh_from_landing,
    maintenance.maintenance,
    audit.audit_lakehouse,
    erase.erase_withdrawn,
    publish.publish_training_set,
)
