"""Opens the page in headless Chromium and returns the images of the first seeds."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

from pgtf.foreign.json_files import parse_json

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run")
TIMEOUT_SEC = 300.0
MAX_POST = 2**28  # bytes of an answer of the browser
_CHECK = "check.html"
# The page itself is in a frame, under its own policy, and must show the image of seed 0.
_PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<script type="module">
import { facts, Generator } from "./generator.js";
import { latentsOf } from "./philox.js";
const post = (name, body) => fetch(name, { method: "POST", body });
const pause = () => new Promise((resolve) => setTimeout(resolve, 50));

async function generated(model, generator) {
  const all = [];
  for (let seed = 0; seed < @NUM@; seed++) {
    all.push(await generator.pixels(latentsOf(seed, model.latent_size), seed));
  }
  return all;
}

async function check_page(model, expected) {
  const frame = document.createElement("iframe");
  frame.src = "index.html";
  document.body.append(frame);
  while (!frame.contentDocument?.body?.dataset.shown) await pause();
  if (frame.contentDocument.body.dataset.shown === "no") {
    throw new Error(frame.contentDocument.getElementById("status").textContent);
  }
  const canvas = frame.contentDocument.getElementById("image");
  const { data } = canvas.getContext("2d").getImageData(0, 0, model.width, model.height);
  const c = model.channels;
  if (expected.some((x, i) => Math.abs(x - data[4 * Math.floor(i / c) + (i % c)]) > 1)) {
    throw new Error("the page shows other pixels than the network makes");
  }
}

async function is_reached(url) {
  try {
    return (await fetch(url, { method: "HEAD" })).ok;
  } catch {
    return false;
  }
}

let model = null;
try {
  model = await facts();
  const generator = await Generator.load(model);
  const begin = performance.now();
  const all = await generated(model, generator);
  const ms = (performance.now() - begin) / all.length;
  await check_page(model, all[0]);
  await post("/images", new Blob(all));
  const version = (navigator.userAgent.match(/Chrom[a-z]*\\/[0-9]+/) || ["a browser"])[0];
  await post("/done", JSON.stringify({ ms, kind: generator.kind, browser: version }));
} catch (error) {
  const files = Object.values(model?.runtime?.wasm ?? {});
  const reached = await Promise.all(files.map((file) => is_reached(file.url)));
  await post(reached.every(Boolean) ? "/failed" : "/unreachable", String(error));
}
</script><body>"""


@dataclasses.dataclass(frozen=True)
class Found:
    """Images that a browser generated."""

    images: np.ndarray  # uint8, all in a row
    ms: float  # per image
    kind: str  # "wasm" or "webgpu"
    browser: str


def in_browser(folder: Path, num: int) -> Found | str:
    """Generates the images of seeds 0, 1, ... in a browser.

    Returns:
        what was found, or the reason why nothing could be.

    Raises:
        ValueError: the page fails, or takes too long.
    """
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        return "there is no Chromium"
    answers: dict[str, bytes] = {}
    finished = threading.Event()
    handler = functools.partial(_Handler, num, answers, finished, directory=str(folder))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_address[1]}/{_CHECK}"
            command = [program, *FLAGS, f"--user-data-dir={profile}", address]
            with subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as browser:
                try:
                    in_time = finished.wait(TIMEOUT_SEC)
                finally:
                    browser.terminate()
        finally:
            server.shutdown()
    if not in_time:
        raise ValueError(f"the page was not written: no answer in {program} for {TIMEOUT_SEC:g} s.")
    if "unreachable" in answers:
        return "the files of its runtime cannot be reached from here"
    if "failed" in answers:
        reason = answers["failed"].decode(errors="replace").splitlines()[0][:200]
        raise ValueError(f"the page was not written: it fails in {program}: {reason}")
    facts = parse_json(answers["done"], "the answer of the browser")
    pixels = np.frombuffer(answers["images"], np.uint8)
    return Found(pixels, float(facts["ms"]), str(facts["kind"]), str(facts["browser"]))


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and one page beside it, and keeps what the page sends."""

    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".onnx": "application/octet-stream",
    }

    def __init__(
        self, num: int, answers: dict[str, bytes], finished: threading.Event, *args: Any, **kw: Any
    ) -> None:
        self._num, self._answers, self._finished = num, answers, finished
        super().__init__(*args, **kw)

    def do_GET(self) -> None:
        """Answers with the page of the check, or a file."""
        if self.path != f"/{_CHECK}":
            super().do_GET()
            return
        content = _PAGE.replace("@NUM@", str(self._num)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        """Keeps an answer of the page."""
        size = min(int(self.headers.get("Content-Length", 0)), MAX_POST)
        name = self.path.strip("/")
        self._answers[name] = self.rfile.read(size)
        self.send_response(204)
        self.end_headers()
        if name in ("done", "failed", "unreachable"):
            self._finished.set()

    def log_message(self, *args: Any) -> None:
        """Prints nothing."""
