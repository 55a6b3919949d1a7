"""Where the tables are kept and how they are read and written."""
