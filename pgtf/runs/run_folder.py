"""Run folders results/NNN-<dataset>-<preset>/: their files, and how users name them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TypeVar

from pgtf import files
from pgtf.foreign.json_files import SMALL_BYTES, read_json
from pgtf.installation import spelled
from pgtf.runs import identity
from pgtf.runs.interfaces import RunConfig
from pgtf.wording import meant

CONFIG_FILE = "config.json"
STATS_FILE = "stats.jsonl"
CHECKPOINT_FOLDER = "checkpoint"
FINISHED_FILE = "finished"  # empty; its presence says that the last image was shown
PROFILE_FOLDER = "profile"  # TensorBoard traces of --profile
_SNAPSHOT = re.compile(r"network-snapshot-(\d{1,15})\.h5")
_NAME = re.compile(r"(\d{3,})-(.+)", re.DOTALL)

C = TypeVar("C", bound=RunConfig)


def accept_config(
    folder: Path, config: RunConfig, source: identity.Source, preset: str | None = None
) -> None:
    """Stores a changed configuration, preset, or place of the dataset; reopens a finished run.

    Without `preset`, the stored one stays.
    """
    stored = identity.load(folder)
    accepted = stored._replace(source=source, preset=preset or stored.preset)
    if accepted != stored:
        identity.store(folder, accepted)
    if not files.exists(folder / CONFIG_FILE) or load_config(folder, config).differences(config):
        if is_finished(folder):
            finished = folder / FINISHED_FILE
            files.retried(lambda: finished.unlink(missing_ok=True), finished)
        store_config(folder, config)


def store_config(folder: Path, config: RunConfig) -> None:
    """Writes the configuration of a run into its folder."""
    files.write_atomically(folder / CONFIG_FILE, config.to_json().encode())


def load_config(folder: Path, like: C) -> C:
    """Reads the configuration of a run, with the class of another one.

    Raises:
        OSError: if it cannot be read now.
        ValueError: if there is none, or it is damaged.
    """
    try:
        return read_config(folder, type(like))
    except (FileNotFoundError, NotADirectoryError):
        what = f"{folder / CONFIG_FILE}: no such file."
    except ValueError as error:
        what = str(error)
    raise ValueError(f"{what} Start another run with --new.")


def read_config(folder: Path, config_class: type[C]) -> C:
    """Reads the configuration of a run as it is.

    Raises:
        OSError: if there is none, or it cannot be read now.
        ValueError: if it is damaged.
    """
    path = folder / CONFIG_FILE
    if not files.exists(path):
        raise FileNotFoundError(f"{folder}: not the folder of a run: no {CONFIG_FILE} in it.")
    fields = read_json(path, max_bytes=SMALL_BYTES, allow_nan=True)  # as `from_json` does
    loaded: C = config_class.from_fields(fields, str(path))
    return loaded


def is_finished(folder: Path) -> bool:
    """True if the last image of a run was shown. Raises ValueError if the mark is not a file."""
    path = folder / FINISHED_FILE
    if not files.exists(path):
        return False
    if not path.is_file():
        writer = spelled("train.py")
        raise ValueError(f"{path}: must be a file, which {writer} writes at the end. Remove it.")
    return True


def mark_finished(folder: Path) -> None:
    """Marks a run as finished: the last image was shown."""
    files.open_no_link(folder / FINISHED_FILE, "a").close()


def list_runs(outdir: str | os.PathLike[str]) -> list[tuple[int, Path, str]]:
    """Lists all runs in a folder by number: (number, run folder, title)."""
    folders = [Path(entry.path) for entry in files.entries(outdir) if entry.is_dir()]
    matches = [(folder, _NAME.fullmatch(folder.name)) for folder in folders]
    return sorted((int(match[1]), folder, match[2]) for folder, match in matches if match)


def locate(outdir: str | os.PathLike[str], run: str | os.PathLike[str] | None = None) -> Path:
    """Finds a run by its folder, or by its number in `outdir`: "3" or "003".

    None means the newest run, which has the highest number.

    Raises:
        ValueError: if there is no such run; names the existing ones.
    """
    if run is not None and Path(run).is_dir():
        return Path(run)
    runs = list_runs(outdir)
    if run is None:
        if not runs:
            raise ValueError(
                f"no run in {outdir}. {spelled('Train one with train.py')}, or give --run."
            )
        return runs[-1][1]
    for number, folder, _ in runs:
        if str(run).isdecimal() and int(str(run)) == number:
            return folder
    names = ", ".join(folder.name for _, folder, _ in runs) or "none"
    raise ValueError(f"no run {run!r} in {outdir}. Runs there: {names}.")


def network_file(outdir: str | os.PathLike[str], name: str) -> Path:
    """Finds networks by the path of their file, or by run: the newest snapshot.

    Raises:
        OSError, ValueError: if there is no such file, run or snapshot.
    """
    if os.path.isdir(name) or (name.isdecimal() and not os.path.exists(name)):
        return newest_snapshot(locate(outdir, name))
    if not os.path.exists(name):
        raise FileNotFoundError(f"{name}: no such file or run.{meant(name)}")
    return Path(name)


def newest_first(folder: Path) -> list[Path]:
    """Lists the checkpoints in a folder. Raises OSError if it exists but cannot be read."""
    names = [entry.name for entry in files.entries(folder) if entry.is_file()]
    matches = {name: re.fullmatch(r"checkpoint-(\d+)\.h5", name) for name in names}
    numbers = {Path(folder, name): int(match[1]) for name, match in matches.items() if match}
    return sorted(numbers, key=numbers.__getitem__, reverse=True)


def snapshots(folder: Path) -> list[tuple[int, Path]]:
    """Lists the network-snapshot-NNNNNN.h5 of a run by thousands of images shown."""
    matches = [
        (_SNAPSHOT.fullmatch(entry.name), Path(entry.path)) for entry in files.entries(folder)
    ]
    return sorted((int(match[1]), path) for match, path in matches if match)


def newest_snapshot(folder: Path) -> Path:
    """Returns the last network-snapshot-NNNNNN.h5 of a run. Raises ValueError if there is none."""
    found = snapshots(folder)
    if not found:
        raise ValueError(f"{folder}: no network snapshot yet. Let the run reach its first one.")
    return found[-1][1]
