"""The schedules."""

import dagster as dg

from stedi_assets.orchestration import audit, jobs, maintenance, publish, sensors
from stedi_assets.tables import LANDING_TABLES

daily = dg.ScheduleDefinition(
    "materialize_lakehouse_daily",
    job=jobs.materialize_lakehouse,
    cron_schedule="0 3 * * *",
    run_config=sensors.leave_out_fresh_files(LANDING_TABLES),
    description="Updates every table, every day at 03:00 UTC.",
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

daily_publishing = dg.ScheduleDefinition(
    "publish_training_set_daily",
    job=publish.publish_training_set,
    cron_schedule="0 4 * * *",
    description="Publishes the training set if its rows have changed, every day at 04:00 UTC.",
)

SCHEDULES = (daily, daily_publishing, weekly, weekly_audit)
