"""The STEDI human-balance lakehouse as Dagster assets."""
