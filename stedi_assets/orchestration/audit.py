"""The audit of the tables as a job."""

from collections.abc import Iterator

import dagster as dg

from stedi_assets.errors import Code, LakehouseError
from stedi_assets.lakehouse import digests
from stedi_assets.lakehouse.audit import Audit
from stedi_assets.lakehouse.lakehouse import Lakehouse
from stedi_assets.orchestration.checks import volume
from stedi_assets.orchestration.failures import faults_fail_step
from stedi_assets.pseudonyms import Pseudonyms
from stedi_assets.tables import DELTA_TABLES, LANDING_TABLES


@dg.op(out={}, description="Makes every table of landing anew, in scratch, and compares.")
def audit_tables(
    context: dg.OpExecutionContext,
    lakehouse: dg.ResourceParam[Lakehouse],
    pseudonyms: dg.ResourceParam[Pseudonyms],
) -> Iterator[dg.AssetObservation]:
    """Audits all tables, and fails if any is at fault."""
    with faults_fail_step(retry=True):
        audit = Audit(lakehouse, pseudonyms, volume.landed(lakehouse))
    faults = []
    for table in (*LANDING_TABLES, *DELTA_TABLES):
        with faults_fail_step(retry=True):
            found = audit.of(table)
        if found.fault:
            faults.append(found.fault)
        shown: dict[str, str | int] = {}
        if compared := found.compared:
            shown = {
                "rows": compared.rows,
                "buckets_compared": compared.buckets,
                "rows_missing": compared.missing,
                "rows_extra": compared.extra,
            }
            if compared.ranges:
                shown["ranges"] = digests.shown(compared.ranges)
        if found.left_out:
            shown["left_out"] = found.left_out
            context.log.warning(
                f"{table.name} {found.left_out}, so that it is not audited: materialise it first."
            )
        yield dg.AssetObservation(table.name, metadata=shown)
    with faults_fail_step():
        require_none(faults)


def require_none(faults: list[LakehouseError]) -> None:
    """Ends the audit by all faults that it found, each in its own sentences.

    Raises:
        LakehouseError: If there is any.
    """
    if faults:
        codes = [fault.code for fault in faults]
        code = Code.TABLE_DIFFERS if Code.TABLE_DIFFERS in codes else codes[0]
        raise LakehouseError(" ".join(fault.args[0] for fault in faults), code)


@dg.job(
    tags={"scope": "lakehouse"},
    description=(
        "Makes every table of the landing files anew, in scratch, at the time and with the options "
        "that it was made with, and compares it with what is stored. Fails if a row differs, also "
        "where files were changed behind the log; the next run makes that table anew."
    ),
)
def audit_lakehouse() -> None:
    """One op, so that what tables are made of is made once."""
    audit_tables()
