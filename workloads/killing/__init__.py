"""Worker processes that are killed while they bring a library up to date, and what is left of it after that."""
