"""SQLite: reading its schema, and the SQL that mends a drift."""
