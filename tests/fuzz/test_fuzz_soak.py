#!/usr/bin/python3
# SOAK: yes   TIMEOUT: 14400
"""`make soak`: every fuzz target for ten minutes."""
import os
import sys

os.environ.setdefault("CANIDS_FUZZ_SECONDS", "600")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_fuzz import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
