"""What a spreadsheet takes for the beginning of a formula, full-width forms included (OWASP)."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
