"""The report: one self-contained HTML page of the status of the lakehouse."""
