"""The checks of every table."""
