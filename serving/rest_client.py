"""Asks a model server for images over REST: python serving/rest_client.py demo 0 1 2

Needs nothing but Python. Writes seed0000.png and so on.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn


def fetch(
    url: str,
    model: str,
    seeds: Sequence[int],
    class_id: int | None = None,
    timeout_sec: float = 60,
) -> list[bytes]:
    """Fetches the images of seeds as PNG files, of a class for a model with labels.

    Raises:
        ValueError: if the server refuses the request, or says that a row is bad.
        OSError: if it cannot be reached.
    """
    inputs = {"seed": list(seeds)}
    if class_id is not None:
        inputs["class_id"] = [class_id] * len(seeds)
    body = json.dumps({"signature_name": "png", "inputs": inputs}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/models/{model}:predict", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout_sec) as reply:
            outputs = json.load(reply)["outputs"]
    except urllib.error.HTTPError as error:
        with error:
            raise ValueError(f"{error.code}: {error.read().decode(errors='replace')}") from None
    for seed, status in zip(seeds, outputs["status"], strict=True):
        if status:
            raise ValueError(f"the row of seed {seed} has status {status}, see docs/serving.md.")
    return [base64.b64decode(image["b64"]) for image in outputs["image_bytes"]]


class _Parser(argparse.ArgumentParser):
    """A mistake is one line."""

    def error(self, message: str) -> NoReturn:
        """Exits with code 2."""
        print(f"error: {message} ({self.prog} --help lists the flags)", file=sys.stderr)
        sys.exit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code."""
    parser = _Parser(description=(__doc__ or "").split("\n")[0], allow_abbrev=False)
    parser.add_argument("model", help="name of the model")
    parser.add_argument("seeds", type=int, nargs="+", help="seeds, one image each")
    parser.add_argument(
        "--class_id", type=int, help="number of the class, for a model with labels (default: none)"
    )
    parser.add_argument(
        "--url", default="http://localhost:8501", help="address (default: %(default)s)"
    )
    parser.add_argument("--out", default=".", help="folder for the images (default: %(default)s)")
    args = parser.parse_args(argv)
    if not Path(args.out).is_dir():
        print(f"error: {args.out}: no such folder.", file=sys.stderr)
        return 2
    try:
        files = fetch(args.url, args.model, args.seeds, args.class_id)
        for seed, content in zip(args.seeds, files, strict=True):
            path = Path(args.out) / f"seed{seed:04d}.png"
            path.write_bytes(content)
            print(path)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
