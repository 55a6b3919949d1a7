"""The landing zone: files copied as they are and read once; what cannot be read is quarantined."""

from collections.abc import Iterator

import dagster as dg
from dagster import MaterializeResult
from pydantic import Field

from stedi_assets.catalog.glue import GlueCatalog
from stedi_assets.catalog.registration import register
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.landing import watch
from stedi_assets.landing.folder import reader_version
from stedi_assets.orchestration import metadata
from stedi_assets.orchestration.checks import landed as landing_checks
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.orchestration.source import SourceData
from stedi_assets.orchestration.table_assets import definition
from stedi_assets.policy import Options
from stedi_assets.tables import LANDING_TABLES, Table, files_of, quarantine_of
from stedi_assets.tables.columns import PERSONAL_DATA


class LandingConfig(dg.Config):
    """What a source's landing tolerates."""

    max_malformed_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="The check fails, and all downstream waits, above this share of objects.",
    )
    max_implausible_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description=(
            "The check fails, and all downstream waits, above this share of records with a value "
            "out of its column's range."
        ),
    )
    settle_seconds: float = Field(
        default=0,
        ge=0,
        description="Source files that changed less than this long ago are left for the next run.",
    )
    rebuild: bool = Field(
        default=False,
        description=(
            "Read every file again, also of the source, even where its size and its modification "
            "time, or its ETag, are as they were."
        ),
    )


def source_files(landing: Table) -> dg.AssetSpec:
    """The files that land as a table: an external asset, which nothing here materialises."""
    return dg.AssetSpec(
        files_of(landing),
        group_name=landing.zone.value,
        kinds={"json"},
        owners=[landing.owner],
        tags={PERSONAL_DATA: str(landing.personal).lower(), "source": landing.source},
        description=(
            f"JSON lines that the source makes, under `{landing.location}` of the source folder. "
            f"`{landing.name}` takes them as they are.\n\n{metadata.LINK}"
        ),
        metadata={metadata.SCHEMA: metadata.column_schema(landing)},
    )


def landing_asset(table: Table) -> dg.AssetsDefinition:
    """The assets of one source: its landing folder and what of it could not be read.

    A run may select one of them. It still reads all that is new and writes both tables, since each
    file is read once; only what it selects is shown as materialised.
    """
    quarantine = quarantine_of(table)
    version = reader_version(table)
    lineage = metadata.landing_lineage(table)
    quarantine_lineage = metadata.quarantine_lineage(quarantine, table)

    @dg.multi_asset(
        name=table.name,
        can_subset=True,
        specs=[
            dg.AssetSpec(
                table.name,
                deps=[files_of(table)],
                code_version=version,
                **definition(
                    table,
                    kinds={"json"},
                    lineage=lineage,
                    rule="Files as they arrived; only an erasure alters one.",
                    function=landing_asset,
                ),
            ),
            dg.AssetSpec(
                quarantine.name,
                deps=[table.name],
                code_version=version,
                **definition(
                    quarantine,
                    kinds={"spark", "deltalake"},
                    lineage=quarantine_lineage,
                    function=landing_asset,
                ),
            ),
        ],
        check_specs=landing_checks.specs(table),
    )
    def land(
        context: dg.AssetExecutionContext,
        config: LandingConfig,
        source: SourceData,
        lakehouse: dg.ResourceParam[Lakehouse],
        catalog: dg.ResourceParam[GlueCatalog | None],
        policy: dg.ResourceParam[Options],  # which refuses a run that is weaker
    ) -> Iterator[MaterializeResult | dg.AssetCheckResult]:
        folder = lakehouse.landing(table)
        with faults_fail_step(retry=True):
            ingested = folder.ingest(
                source.folder(table), config.settle_seconds, anew=config.rebuild
            )
            records = lakehouse.take_in(table, anew=config.rebuild, run=context.run.run_id)
            profile, state = records.profile, lakehouse.state(quarantine)
            assert state is not None
        version = dg.DataVersion(profile.fingerprint)
        registered = {each.name: register(catalog, lakehouse, each) for each in (table, quarantine)}
        selected = context.selected_asset_keys
        if dg.AssetKey(table.name) in selected:
            yield MaterializeResult(
                asset_key=table.name,
                data_version=version,
                metadata={
                    metadata.SCHEMA: metadata.column_schema(table, lineage),
                    metadata.LINEAGE: lineage,
                    "dagster/row_count": profile.records,
                    "dagster/uri": folder.uri,
                    "files": len(folder.current),
                    "files_superseded": len(folder.files) - len(folder.current),
                    "size_mb": metadata.megabytes(sum(file.size for file in folder.files)),
                    "files_read": records.files_read,
                    "files_uploaded": len(ingested.copied),
                    "uploaded_mb": metadata.megabytes(sum(file.size for file in ingested.copied)),
                    watch.TAKEN: watch.Contents().plus(ingested.offered).hex_digest,
                    "malformed": profile.malformed,
                    "implausible": profile.implausible,
                    **registered[table.name],
                },
            )
        for result in (
            landing_checks.accounted_for(profile, state.rows),
            landing_checks.unaltered(len(folder.ledger.overwritten)),
            landing_checks.malformed_share(
                table, profile, config.max_malformed_share, lambda: lakehouse.read(quarantine)
            ),
            landing_checks.implausible_share(table, profile, config.max_implausible_share),
        ):
            if result.check_name in {key.name for key in context.selected_asset_check_keys}:
                yield result
        if dg.AssetKey(quarantine.name) in selected:
            yield MaterializeResult(
                asset_key=quarantine.name,
                data_version=version,
                metadata={
                    **metadata.materialization(
                        quarantine, lakehouse.uri_of(quarantine), state, quarantine_lineage
                    ),
                    **registered[quarantine.name],
                },
            )

    return land


ASSETS = [landing_asset(table) for table in LANDING_TABLES]
SOURCE_FILES = [source_files(table) for table in LANDING_TABLES]
