"""The landing zone: files copied as they are, read once, with what cannot be read set aside."""

from collections.abc import Iterator, Mapping

import dagster as dg
from dagster import AssetCheckResult, AssetCheckSeverity, MaterializeResult
from pydantic import Field
from pyspark.sql import functions as F

from stedi_assets import tables
from stedi_assets.assets.declared import definition
from stedi_assets.lakehouse import describe, landing, reader
from stedi_assets.lakehouse.io_manager import LakehouseIOManager
from stedi_assets.lakehouse.landing import LandingProfile
from stedi_assets.resources.source import SourceData
from stedi_assets.tables import Table

ALL_ACCOUNTED_FOR = "objects_accounted_for"
MALFORMED_SHARE = "malformed_share"


class LandingConfig(dg.Config):
    """What a source's landing puts up with."""

    max_malformed_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="The check fails, and all downstream waits, above this share of fragments.",
    )


def landing_asset(table: Table) -> dg.AssetsDefinition:
    """The assets of one source: its landing folder and what of it could not be read."""
    quarantine = tables.quarantine_of(table)
    version = landing.reader_version(table)

    @dg.multi_asset(
        name=table.name,
        specs=[
            dg.AssetSpec(
                table.name,
                code_version=version,
                **definition(table, kinds={"json"}, rule="Files as they arrived; never altered."),
            ),
            dg.AssetSpec(
                quarantine.name,
                deps=[table.name],
                code_version=version,
                **definition(quarantine, kinds={"spark", "deltalake"}),
            ),
        ],
        check_specs=[
            dg.AssetCheckSpec(
                ALL_ACCOUNTED_FOR,
                asset=table.name,
                blocking=True,
                description="Records and quarantined fragments add up to all that landed.",
            ),
            dg.AssetCheckSpec(
                MALFORMED_SHARE,
                asset=table.name,
                blocking=True,
                description=(
                    "No more of what landed is unreadable than max_malformed_share allows; "
                    "a warning if anything is."
                ),
            ),
        ],
    )
    def land(
        context: dg.AssetExecutionContext,
        config: LandingConfig,
        source: SourceData,
        io_manager: dg.ResourceParam[LakehouseIOManager],
    ) -> Iterator[MaterializeResult]:
        folder = io_manager.landing(table)
        source_uri = source.folder(table)
        copied = landing.upload(source_uri, folder.uri) if source_uri else []
        profile = io_manager.landing_profile(table)
        state = io_manager.state(quarantine)
        if profile is None or state is None:
            profile = folder.profile()
            malformed = (
                folder.malformed(profile)
                if profile.malformed
                else io_manager.spark_session.createDataFrame([], quarantine.ddl)
            )
            commit = {"run": context.run.run_id, "landing": profile.as_dict()}
            state = io_manager.write(quarantine, malformed, commit)
        reasons = _commonest_reasons(io_manager, quarantine) if profile.malformed else {}
        recorded = source.recorded_rows({table.source: profile.fingerprint}).get(table.name)
        version = dg.DataVersion(profile.fingerprint)
        yield MaterializeResult(
            asset_key=table.name,
            data_version=version,
            metadata={
                **describe.definition(table),
                "dagster/row_count": profile.records,
                "dagster/uri": folder.uri,
                "files": len(folder.files),
                "size_bytes": sum(file.size for file in folder.files),
                "files_uploaded": len(copied),
                "bytes_uploaded": sum(file.size for file in copied),
                "malformed": profile.malformed,
            },
            check_results=[
                _accounted_for(profile, state.rows, recorded),
                _malformed_share(table, profile, config.max_malformed_share, reasons),
            ],
        )
        yield MaterializeResult(
            asset_key=quarantine.name,
            data_version=version,
            metadata=describe.materialization(quarantine, io_manager.uri_of(quarantine), state),
        )

    return land


def _accounted_for(
    profile: LandingProfile, quarantined: int, recorded: int | None
) -> AssetCheckResult:
    figures = {
        "objects": profile.objects,
        "records": profile.records,
        "quarantined": quarantined,
    }
    if recorded is not None:
        figures["recorded_in_manifest"] = recorded
    return AssetCheckResult(
        check_name=ALL_ACCOUNTED_FOR,
        passed=profile.records + quarantined == profile.objects
        and recorded in (None, profile.records),
        metadata=figures,
    )


def _malformed_share(
    table: Table, profile: LandingProfile, allowed: float, reasons: Mapping[str, int]
) -> AssetCheckResult:
    share = profile.malformed / profile.objects if profile.objects else 0.0
    passed = share <= allowed
    mend = f"Correct or remove them in {table.location}; {table.source}_quarantine lists them."
    if reader.every_field_missing(table) in reasons:
        mend = f"Some are another source's records: move that file out of {table.location}."
    return AssetCheckResult(
        check_name=MALFORMED_SHARE,
        passed=passed and not profile.malformed,
        severity=AssetCheckSeverity.WARN if passed else AssetCheckSeverity.ERROR,
        description=(
            f"{profile.malformed} of {profile.objects} objects in {table.location} cannot be read "
            f"({share:.2%}, {allowed:.2%} allowed). {mend}"
            if profile.malformed
            else None
        ),
        metadata={
            "malformed": profile.malformed,
            "objects": profile.objects,
            "share": share,
            "allowed_share": allowed,
            "commonest_reasons": dict(reasons),
        },
    )


def _commonest_reasons(io_manager: LakehouseIOManager, quarantine: Table) -> dict[str, int]:
    counted = io_manager.read(quarantine).groupBy("reason").count()
    return {row.reason: row["count"] for row in counted.orderBy(F.desc("count")).limit(5).collect()}


customer_landing, accelerometer_landing, step_trainer_landing = (
    landing_asset(table) for table in tables.LANDING_TABLES
)
