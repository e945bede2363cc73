"""Networks in files: snapshots of this program and pickles of the original releases."""

from pgtf.interop.original import load_pkl
from pgtf.interop.snapshots import load_meta, load_snapshot, save_snapshot

__all__ = ["load_meta", "load_pkl", "load_snapshot", "save_snapshot"]
