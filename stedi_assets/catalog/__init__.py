"""The tables as the Glue Data Catalog, Athena and SQL know them."""
