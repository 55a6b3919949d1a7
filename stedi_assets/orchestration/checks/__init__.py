"""The rules that every materialised table is held to, each table in one pass."""
