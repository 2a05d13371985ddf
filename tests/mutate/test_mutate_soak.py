#!/usr/bin/python3
# SOAK: yes   TIMEOUT: 7200
"""`make soak`: a million mutations, of another seed every time."""
import os
import sys
import time

os.environ.setdefault("CANIDS_MUTANTS", "1000000")
os.environ.setdefault("CANIDS_SEED", str(int(time.time())))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_mutate import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
