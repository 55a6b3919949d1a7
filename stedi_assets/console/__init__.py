"""SQL over the lakehouse, read only."""
