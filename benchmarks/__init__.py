"""One module for each figure that the README claims."""
