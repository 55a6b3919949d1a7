"""The data contracts of the tables, and what breaks one."""
