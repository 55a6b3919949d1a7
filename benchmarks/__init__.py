"""How this project measures itself beside its rivals."""
