"""Reading the lakehouse: by SQL, and as plain files."""
