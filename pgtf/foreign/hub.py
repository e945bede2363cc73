"""Networks on the Hugging Face Hub: hf://user/name, wherever a file of networks is taken.

Only files of networks are downloaded, and they are read like any file from elsewhere. A token comes
from the places of huggingface_hub: its own login, or HF_TOKEN.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pgtf.foreign.messages import shown

PREFIX = "hf://"
_ADDRESS = re.compile(
    r"hf://(?P<repo>\w[\w.-]{0,95}/\w[\w.-]{0,95})(?:@(?P<revision>\w[\w.-]{0,95}))?"
    r"(?:/(?P<file>\w[\w.-]*(?:/\w[\w.-]*)*))?"  # no part begins with a dot
)
_SNAPSHOT = re.compile(r"(?:.*/)?network-snapshot-(\d{6,12})\.h5")
SUFFIXES = (".h5", ".pkl")  # of files of networks
_CACHED = "models--"  # begins the folder of a repository in the cache
MAX_LISTED = 5  # names in a message


def is_address(name: Any) -> bool:
    """True for a text such as hf://user/name."""
    return isinstance(name, str) and name.startswith(PREFIX)


def local(name: Any) -> Any:
    """Downloads the networks of an address, unless they are in the cache; other names stay.

    Args:
        name: hf://user/name, hf://user/name@revision or hf://user/name/file.h5, or a path.

    Returns:
        The path of the file. Without a name of a file it is the newest snapshot, else the only
        file of networks.

    Raises:
        ValueError: huggingface_hub is missing, or the address or the repository does not fit.
        OSError: it cannot be reached.
    """
    if not is_address(name):
        return name
    match = _ADDRESS.fullmatch(name)
    if match is None:
        raise ValueError(f"an address must be hf://user/name. Received: {shown(name)}.")
    hub = client()
    repo, revision, file = match.group("repo", "revision", "file")
    try:
        if file is None:
            file = _chosen(hub.HfApi().list_repo_files(repo, revision=revision), name)
        elif not file.endswith(SUFFIXES):
            raise ValueError(f"{name}: must be a file that ends in {' or '.join(SUFFIXES)}.")
        path: str = hub.hf_hub_download(repo, file, revision=revision)
        return path
    except errors(hub) as error:
        raise OSError(f"{name}: {first_line(error)}") from None


def place(path: Path, suffix: str) -> Path | None:
    """Returns a path in the working folder for results of a file in the cache; None for others."""
    for part in path.parts:
        if part.startswith(_CACHED):
            return Path(part.removeprefix(_CACHED).replace("--", "-") + suffix)
    return None


def client() -> Any:
    """Imports huggingface_hub. Raises ValueError with the remedy if it is missing."""
    try:
        import huggingface_hub
    except ImportError:
        raise ValueError(
            "networks on the Hugging Face Hub need the optional extra `hub`: "
            "pip install huggingface-hub."
        ) from None
    return huggingface_hub


def errors(hub: Any) -> tuple[type[Exception], ...]:
    """Kinds of errors of the hub: no such repository, no permission, no connection."""
    return (hub.errors.HfHubHTTPError, hub.errors.LocalEntryNotFoundError, OSError)


def _chosen(names: list[str], address: str) -> str:
    """Chooses the file of networks in a repository. Raises ValueError unless it is clear."""
    numbered = [(int(found[1]), name) for name in names if (found := _SNAPSHOT.fullmatch(name))]
    if numbered:
        return max(numbered)[1]
    files = [name for name in names if name.endswith(SUFFIXES)]
    if len(files) == 1:
        return files[0]
    listed = ", ".join(shown(name) for name in files[:MAX_LISTED]) or "none"
    raise ValueError(
        f"{address}: must hold a file network-snapshot-NNNNNN.h5, or one .h5 or .pkl file. "
        f"Received: {listed}. Name a file: {address}/FILE."
    )


def first_line(error: Exception) -> str:
    """Returns what an error says in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
