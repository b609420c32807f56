"""`python -m` this package compares a database with metadata."""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
