"""Reports that grow line by line while workers make images."""

from __future__ import annotations

import os

from pgtf.dataset.journal import CAREFULLY


def append_line(path: str, line: str) -> None:
    """Appends a line to a report, for which several processes may call this at the same time.

    The line is not synced here: `exporter.export` syncs its report at every checkpoint.

    Raises:
        OSError: the file is a link, or cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | CAREFULLY, 0o644)
    try:
        # Begin with a line break, because a crash may have cut the previous line.
        os.write(descriptor, f"\n{line}\n".encode())
    finally:
        os.close(descriptor)
