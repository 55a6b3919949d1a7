"""The tables as assets: one module a zone, each asset a docstring and a DataFrame expression."""
