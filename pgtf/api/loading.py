"""Loading of networks by what a user calls them: a run, a file, a SavedModel."""

from __future__ import annotations

import os
from pathlib import Path

from pgtf.api.networks import Networks
from pgtf.api.served_networks import ServedNetworks
from pgtf.export.source import Source
from pgtf.export.version_folder import served_version
from pgtf.foreign import hub
from pgtf.foreign.files import open_regular
from pgtf.runs import run_folder

_HDF5 = b"\x89HDF\r\n\x1a\n"  # the first bytes of a snapshot
_KINDS = {".h5": "snapshot", ".pkl": "pickle"}


def load(
    source: str | os.PathLike[str] | int | None = None,
    *,
    outdir: str | os.PathLike[str] = "results",
) -> Networks:
    """Loads networks. Nothing in the files is executed.

    Args:
        source: folder of a run, of which the newest snapshot is loaded, or the number of a run in
            `outdir`; a snapshot network-snapshot-NNNNNN.h5; a network pickle of the original
            releases; the folder of an exported SavedModel; or hf://user/name on the Hugging Face
            Hub, which needs the extra `hub`. None = the newest run.
        outdir: folder of the runs.

    Raises:
        OSError: if a file is missing or cannot be read.
        ValueError: if there is no such run, or the file is damaged, foreign, or holds what is not
            allowed in such a file.
    """
    outdir = os.path.expanduser(outdir)
    if source is None or isinstance(source, int):
        return load_run(None if source is None else str(source), outdir)
    name = os.path.expanduser(os.fspath(source))
    path = Path(hub.local(name))
    if path.is_dir():
        if (served_version(path) / "saved_model.pb").exists():
            return ServedNetworks(path)
        return load_run(path, outdir)
    kind = _KINDS.get(path.suffix)
    if kind is None and not path.exists():
        return load_run(name, outdir)  # It names the runs that there are.
    if kind is None:
        with open_regular(path) as file:
            kind = "snapshot" if file.read(len(_HDF5)) == _HDF5 else "pickle"
    return load_snapshot(path) if kind == "snapshot" else load_pickle(path)


def load_run(
    run: str | os.PathLike[str] | None, outdir: str | os.PathLike[str] = "results"
) -> Networks:
    """Loads the newest snapshot of a run: its folder, its number in `outdir`, None = the newest."""
    path = run_folder.newest_snapshot(run_folder.locate(outdir, run))
    return Networks("run", Source.from_snapshot(path))


def load_snapshot(path: str | os.PathLike[str]) -> Networks:
    """Loads a snapshot, whatever the name of its file is."""
    return Networks("snapshot", Source.from_snapshot(path))


def load_pickle(path: str | os.PathLike[str]) -> Networks:
    """Loads a pickle of the original releases, whatever the name of its file is."""
    return Networks("pickle", Source.from_pkl(path))
