"""The album: events as static HTML pages that a browser opens from the disk."""
