"""What Dagster runs: assets, checks, jobs, schedules and sensors. Nothing is computed here."""
