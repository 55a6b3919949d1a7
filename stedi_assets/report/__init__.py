"""The report: one self-contained HTML page of how the lakehouse stands."""
