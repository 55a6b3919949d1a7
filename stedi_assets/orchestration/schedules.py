"""The schedules."""

import dagster as dg

from stedi_assets.orchestration import audit, jobs, maintenance, sensors
from stedi_assets.tables import LANDING_TABLES

daily = dg.ScheduleDefinition(
    "materialize_lakehouse_daily",
    job=jobs.materialize_lakehouse,
    cron_schedule="0 3 * * *",
    run_config=sensors.leave_out_fresh_files(LANDING_TABLES),
    description="Rebuilds every table, every day at 03:00 UTC.",
)

weekly = dg.ScheduleDefinition(
    "maintenance_weekly",
    job=maintenance.maintenance,
    cron_schedule="0 5 * * 0",
    description="Clusters the tables by time and deletes old versions, every Sunday at 05:00 UTC.",
)

weekly_audit = dg.ScheduleDefinition(
    "audit_lakehouse_weekly",
    job=audit.audit_lakehouse,
    cron_schedule="0 6 * * 0",
    description="Compares every table with what landing makes of it, every Sunday at 06:00 UTC.",
)

SCHEDULES = (daily, weekly, weekly_audit)
