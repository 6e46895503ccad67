"""The SQL: one file per table, functions over a connection; each statement names the owner."""
