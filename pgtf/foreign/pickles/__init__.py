"""Reads pickles as data: what they name is never imported, called or executed.

A pickle is a program for a small stack machine that may call whatever it names. This package is its
own stack machine: `instructions` cuts the file into instructions, `machine` executes the few that
plain data, NumPy arrays and the class `Network` of the original releases need, `stack` keeps the
limits of memory and nesting, and `arrays` builds arrays and numbers from stored bytes.
"""

from pgtf.foreign.pickles.reader import parse_pickle, read_pickle
from pgtf.foreign.pickles.stack import BYTES_FREE, BYTES_PER_BYTE, StoredNetwork

__all__ = ["BYTES_FREE", "BYTES_PER_BYTE", "StoredNetwork", "parse_pickle", "read_pickle"]
