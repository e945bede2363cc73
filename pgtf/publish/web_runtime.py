"""ONNX Runtime Web for the page: the files of its npm package, copied or on a CDN, with hashes."""

from __future__ import annotations

import base64
import hashlib
import shutil
from pathlib import Path
from typing import Any

from pgtf.foreign.files import open_regular
from pgtf.foreign.json_files import SMALL_BYTES, read_json

PACKAGE = "onnxruntime-web"
CDN, CDN_VERSION = "https://cdn.jsdelivr.net", "1.30.0"
FOLDER = "runtime"  # a folder in that of the page
# By provider: the script, the glue around WebAssembly, and WebAssembly.
FILES = {
    "webgpu": (
        "ort.webgpu.min.js",
        "ort-wasm-simd-threaded.asyncify.mjs",
        "ort-wasm-simd-threaded.asyncify.wasm",
    ),
    "wasm": (
        "ort.wasm.min.js",
        "ort-wasm-simd-threaded.mjs",
        "ort-wasm-simd-threaded.wasm",
    ),
}
ROLES = ("script", "glue", "wasm")
# SHA-384 of the files of CDN_VERSION, as browsers compare them.
CDN_HASHES = {
    "ort.webgpu.min.js": (
        "sha384-6BOUZhMpgaXRZBIj89pTWET0c7xcMe1yHACreuaBy2kUZwLd2tzCmv7MzwZccHYH"
    ),
    "ort-wasm-simd-threaded.asyncify.mjs": (
        "sha384-qViEcCGzsR/m8nlQwIsbYh7afN4thuraqFYDQY6huvmoLVoZq/eYawQ1wrv8nnhA"
    ),
    "ort-wasm-simd-threaded.asyncify.wasm": (
        "sha384-EPVDLTxuO663dkZO/pcKJF6vOyyfq/5z9FY1oksN0UWFX2ABH4wDDZQHeNoUleWR"
    ),
    "ort.wasm.min.js": ("sha384-Bw6URI+Gvoadw0do7/QrSHUC9D1vCYYK5OSqChFyhyV5mzPL4oe2rOAFljAnS8Sq"),
    "ort-wasm-simd-threaded.mjs": (
        "sha384-XcXA/MtAf0WpB8e023xQH9CM7RIjiugakT7x99DIwpFf7k56BIFFcAPerIF7FDad"
    ),
    "ort-wasm-simd-threaded.wasm": (
        "sha384-vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM"
    ),
}
MAX_BYTES = 2**28  # a file may have
_LICENCE = "{name} {version}, licence {licence}, as its package.json beside this file says.\n"

Files = dict[str, dict[str, dict[str, str]]]  # {"wasm": {"script": {"url", "integrity"}}}


def on_cdn() -> Files:
    """Returns the addresses of the files on the CDN, with their hashes."""
    base = f"{CDN}/npm/{PACKAGE}@{CDN_VERSION}/dist"
    return _table(lambda name: f"{base}/{name}", CDN_HASHES.__getitem__)


def copied(package: Path, out: Path) -> Files:
    """Copies the files of the npm package, with its licence, into `out`/runtime.

    Args:
        package: folder of the package, as `npm install onnxruntime-web` or `npm pack` leaves it.
        out: folder of the page.

    Raises:
        ValueError: the folder is not that package.
        OSError: a file is missing or cannot be copied.
    """
    for candidate in (package, package / "package", package / "node_modules" / PACKAGE):
        if (candidate / "package.json").is_file():
            package = candidate
            break
    about = _about(package)
    folder = out / FOLDER
    folder.mkdir()
    hashes = {}
    for name in {name for names in FILES.values() for name in names}:
        with open_regular(package / "dist" / name) as file:
            content = file.read(MAX_BYTES)
        (folder / name).write_bytes(content)
        hashes[name] = integrity(content)
    shutil.copy(package / "package.json", folder / "package.json")
    licences = [x for x in package.iterdir() if x.name.upper().startswith(("LICEN", "THIRD"))]
    for path in licences:
        shutil.copy(path, folder / path.name)
    if not licences:
        (folder / "LICENSE.txt").write_text(_LICENCE.format(**about), encoding="utf-8")
    return _table(lambda name: f"{FOLDER}/{name}", hashes.__getitem__)


def _about(package: Path) -> dict[str, str]:
    """Reads name, version and licence of a package. Raises ValueError if it is another one."""
    remedy = f"`--runtime` must be the folder of the npm package {PACKAGE}, or cdn"
    path = package / "package.json"
    if not path.is_file():
        raise ValueError(f"{package}: {remedy}. Received: a folder without package.json.")
    found: Any = read_json(path, max_bytes=SMALL_BYTES)
    name = found.get("name") if isinstance(found, dict) else None
    if name != PACKAGE:
        raise ValueError(f"{package}: {remedy}. Received: {str(name)[:60]!r}.")
    version, licence = str(found.get("version", "")), str(found.get("license", ""))
    return {"name": PACKAGE, "version": version[:40], "licence": licence[:40]}


def integrity(content: bytes) -> str:
    """Computes the hash of a file as browsers compare it."""
    return f"sha384-{base64.b64encode(hashlib.sha384(content).digest()).decode('ascii')}"


def _table(url: Any, hash_of: Any) -> Files:
    return {
        kind: {
            role: {"url": url(name), "integrity": hash_of(name)}
            for role, name in zip(ROLES, names, strict=True)
        }
        for kind, names in FILES.items()
    }
