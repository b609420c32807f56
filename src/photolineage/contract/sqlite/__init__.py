"""SQLite: reads the schema and writes the SQL that fixes a drift."""
