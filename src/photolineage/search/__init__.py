"""Search: the query, the filters, and the images that are found."""
