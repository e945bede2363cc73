"""The page that generates images in the browser."""

import http.server
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from pgtf import images, marks
from pgtf.export import edge
from pgtf.export.source import Source
from pgtf.export.walk import interpolate
from pgtf.networks import latents_from_seeds
from pgtf.publish import web, web_check, web_runtime
from tests.commands.generating import refusal, run

pytestmark = pytest.mark.usefixtures("loaded_once")
SEEDS = [0, 1, 7, 2**31, 2**32 + 5, 10**18 - 1]
# Folder of the npm package, for the tests that need it: npm install onnxruntime-web.
PACKAGE = os.environ.get("PGTF_ONNXRUNTIME_WEB")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder like that of the npm package, with small files."""
    folder = tmp_path_factory.mktemp("npm") / "onnxruntime-web"
    (folder / "dist").mkdir(parents=True)
    about = {"name": "onnxruntime-web", "version": "9.9.9", "license": "MIT"}
    (folder / "package.json").write_text(json.dumps(about))
    for name in {name for names in web_runtime.FILES.values() for name in names}:
        (folder / "dist" / name).write_text(f"// {name}")
    return folder


@pytest.fixture(scope="module", autouse=True)
def _exported_once():
    """Each network becomes an ONNX file once for all tests."""
    known, export = {}, edge.export_edge

    def export_edge(Gs, path, file_format):
        if id(Gs) not in known:
            export(Gs, path, file_format)
            known[id(Gs)] = path.read_bytes()
        path.write_bytes(known[id(Gs)])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge, "export_edge", export_edge)
        yield


@pytest.fixture
def unchecked(monkeypatch):
    """No browser; its absence is told."""
    monkeypatch.setattr(web_check, "BROWSERS", ("no-such-browser",))


def javascript(code, tmp_path):
    """Runs a module of the page in Node. Returns what it prints, as JSON."""
    if shutil.which("node") is None:
        pytest.skip("the page's latents are not tested: no package nodejs")
    shutil.copy(web.PAGE / "philox.js", tmp_path / "philox.mjs")
    (tmp_path / "main.mjs").write_text(f"import * as page from './philox.mjs';\n{code}")
    done = subprocess.run(
        ["node", "main.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("size", [5, 512])
def test_the_page_samples_the_latents_of_every_command(size, tmp_path):
    seeds = json.dumps([str(seed) for seed in SEEDS])
    code = f"console.log(JSON.stringify({seeds}.map((x) => [...page.latentsOf(x, {size})])))"
    expected = latents_from_seeds(SEEDS, size).numpy()
    found = np.float32(javascript(code, tmp_path))
    # TensorFlow's vectorized logarithm is float32: near 1 its result has few digits.
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)


def test_the_page_walks_and_turns_on_the_sphere(tmp_path):
    a, b = latents_from_seeds([3, 4], 16).numpy()
    vectors = np.linalg.qr(np.random.default_rng(1).normal(size=[16, 2]))[0].T
    code = f"""
const [a, b] = [{a.tolist()}, {b.tolist()}].map((x) => Float32Array.from(x));
const vectors = {vectors.tolist()};
console.log(JSON.stringify([
  ...[0, 0.25, 1].map((t) => [...page.between(a, b, t)]),
  ...[[0, 0], [0.5, 0], [0.3, -0.4]].map((x) => [...page.edited(a, vectors, x)]),
]))"""
    found = np.array(javascript(code, tmp_path))
    ts = np.float32([0, 0.25, 1])
    expected = interpolate(np.tile(a, (3, 1)), np.tile(b, (3, 1)), ts).numpy()
    np.testing.assert_allclose(found[:3], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.float32(found[3]), a)
    norms = np.linalg.norm(found[3:], axis=1)
    np.testing.assert_allclose(norms, np.linalg.norm(a), rtol=1e-6)
    cosine = found[4] @ a / norms[0] ** 2
    assert np.arccos(cosine) == pytest.approx(0.5, abs=1e-5)
    assert vectors[0] @ found[4] > vectors[0] @ a
    assert vectors[1] @ found[5] < vectors[1] @ a


def test_the_folder_is_whole_and_its_network_is_the_generator(
    snapshot, package, unchecked, tmp_path, capsys
):
    out = tmp_path / "page"
    command = ["export", "--format=web", f"--snapshot={snapshot}", f"--runtime={package}"]
    run(*command, f"--out={out}", "--name=faces")
    assert "not checked in a browser: there is no Chromium" in capsys.readouterr().out
    assert sorted(x.name for x in out.iterdir()) == [
        "generator.js", "index.html", "model.json", "network.onnx", "page.css", "page.js",
        "philox.js", "png.js", "runtime",
    ]  # fmt: skip
    assert {x.name for x in (out / "runtime").iterdir()} == {
        "LICENSE.txt", "package.json", *web_runtime.FILES["wasm"], *web_runtime.FILES["webgpu"]
    }  # fmt: skip
    model = json.loads((out / "model.json").read_text())
    assert (model["name"], model["width"], model["channels"]) == ("faces", 16, 3)
    for file in (model["network"], *model["runtime"]["wasm"].values()):
        assert web_runtime.integrity((out / file["url"]).read_bytes()) == file["integrity"]
    assert "@" not in (out / "index.html").read_text()
    mark = model["mark"]["exact"].replace("@SEED@", "7")
    source = Source.from_snapshot(snapshot)
    facts = {"Network": source.sha256, "Seeds": "7", "Lod": "0.0", "Zoom": "1"}
    assert marks.read_packet(mark.encode(), "x") == marks.Mark(facts)
    latents = latents_from_seeds([1, 2], source.Gs.latent_size).numpy()
    assert off(out, latents, source) <= 1
    before = sum(len(path.read_bytes()) for path in out.iterdir() if path.is_file())
    assert before < 200_000  # of a network of 8 maps
    text = refusal(capsys, *command, f"--out={out}")
    assert "exists. Choose another --out, or --overwrite." in text
    assert sorted(os.listdir(tmp_path)) == ["page"]


def off(out, latents, source):
    """Largest difference between the page's network and the generator, in gray levels."""
    session = onnxruntime.InferenceSession(
        str(out / "network.onnx"), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(["images"], {"latents": latents})
    return np.abs(found.astype(int) - images.to_uint8(source.Gs.run(latents))).max()


def test_half_precision_halves_the_weights_and_hardly_moves_the_pixels(
    snapshot, package, unchecked, tmp_path, monkeypatch
):
    monkeypatch.setattr(web, "MIN_HALVED", 32)
    source = Source.from_snapshot(snapshot)
    sizes = {}
    for precision in web.PRECISIONS:
        out = tmp_path / precision
        web.export_web(source, out, str(package), precision=precision)
        sizes[precision] = (out / "network.onnx").stat().st_size
    num_weights = sum(v.numpy().size for v in source.Gs.variables_by_name.values())
    assert sizes["fp32"] - sizes["fp16"] > num_weights  # two bytes each, less what was added
    latents = latents_from_seeds(np.arange(8), source.Gs.latent_size).numpy()
    assert off(tmp_path / "fp16", latents, source) <= web.MAX_LEVELS["fp16"]


def test_a_cdn_is_pinned_and_each_file_has_a_hash(snapshot, unchecked, tmp_path):
    web.export_web(Source.from_snapshot(snapshot), tmp_path / "x", "cdn")
    runtime = json.loads((tmp_path / "x" / "model.json").read_text())["runtime"]
    for files in runtime.values():
        for file in files.values():
            assert file["url"].startswith(f"{web_runtime.CDN}/npm/onnxruntime-web@")
            assert file["integrity"].startswith("sha384-")
            assert len(file["integrity"]) == 71
    assert web_runtime.CDN in (tmp_path / "x" / "index.html").read_text()
    assert not (tmp_path / "x" / "runtime").exists()


@pytest.mark.parametrize(
    ("runtime", "words"),
    [(None, "is needed for a page"), ("EMPTY", "without package.json"), ("OTHER", "'left-pad'")],
)
def test_a_wrong_runtime_is_refused_and_leaves_nothing(runtime, words, snapshot, tmp_path, capsys):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "OTHER").mkdir()
    (tmp_path / "OTHER" / "package.json").write_text('{"name": "left-pad"}')
    flags = [] if runtime is None else [f"--runtime={tmp_path / runtime}"]
    text = refusal(
        capsys, "export", "--format=web", f"--snapshot={snapshot}", *flags, f"--out={tmp_path}/x"
    )
    assert words in text
    assert sorted(os.listdir(tmp_path)) == ["EMPTY", "OTHER"]


def test_images_that_differ_are_no_page(snapshot, package, tmp_path, monkeypatch):
    source = Source.from_snapshot(snapshot)
    wrong = web._expected(source).copy()
    wrong[5, 3, 2, 1] ^= 128
    found = web_check.Found(wrong.ravel(), 1.0, "wasm", "Chrome/1")
    monkeypatch.setattr(web_check, "in_browser", lambda folder, num: found)
    with pytest.raises(ValueError, match="up to 128 gray levels off in fp32"):
        web.export_web(source, tmp_path / "x", str(package))
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(PACKAGE is None, reason="PGTF_ONNXRUNTIME_WEB names no npm package")
@pytest.mark.parametrize("name", ["snapshot", "labelled_snapshot"])
def test_the_browser_generates_the_images_of_generate(name, request, tmp_path):
    source = Source.from_snapshot(request.getfixturevalue(name))
    found = web.export_web(source, tmp_path / "x", str(Path(PACKAGE)))
    if "no Chromium" in found:
        pytest.skip("the page is not tested in a browser: no package chromium")
    assert "16 seeds in Chrome/" in found
    assert any(f"at most {levels} of 255" in found for levels in (0, 1))


class _Cdn(http.server.SimpleHTTPRequestHandler):
    """Serves the npm package's scripts to pages from elsewhere, as jsDelivr does."""

    extensions_map = web_check._Handler.extensions_map

    def translate_path(self, path):
        return str(Path(PACKAGE) / "dist" / path.rpartition("/")[2])

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()

    def log_message(self, *args):
        pass


@pytest.mark.skipif(PACKAGE is None, reason="PGTF_ONNXRUNTIME_WEB names no npm package")
@pytest.mark.parametrize("wrong", [None, "ort.wasm.min.js", "ort-wasm-simd-threaded.wasm"])
def test_files_of_a_cdn_are_loaded_and_compared_with_their_hashes(
    wrong, snapshot, tmp_path, monkeypatch
):
    if not any(map(shutil.which, web_check.BROWSERS)):
        pytest.skip("the page is not tested in a browser: no package chromium")
    source = Source.from_snapshot(snapshot)
    if wrong:
        other = web_runtime.integrity(b"other")
        monkeypatch.setitem(web_runtime.CDN_HASHES, wrong, other)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Cdn) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(web_runtime, "CDN", f"http://127.0.0.1:{server.server_address[1]}")
        try:
            if wrong:
                with pytest.raises(ValueError, match="it fails in"):
                    web.export_web(source, tmp_path / "x", "cdn")
            else:
                assert "16 seeds in Chrome/" in web.export_web(source, tmp_path / "x", "cdn")
        finally:
            server.shutdown()


def test_a_cdn_that_cannot_be_reached_is_told(snapshot, tmp_path, monkeypatch):
    if not any(map(shutil.which, web_check.BROWSERS)):
        pytest.skip("the check is not tested in a browser: no package chromium")
    monkeypatch.setattr(web_runtime, "CDN", "http://127.0.0.1:9")
    found = web.export_web(Source.from_snapshot(snapshot), tmp_path / "x", "cdn")
    assert found == (
        "not checked in a browser: the files of its runtime cannot be reached from here"
    )
    assert (tmp_path / "x" / "index.html").exists()


def test_a_page_that_fails_is_told(tmp_path):
    (tmp_path / "generator.js").write_text("throw new Error('broken');")
    (tmp_path / "philox.js").write_text("")
    if not any(map(shutil.which, web_check.BROWSERS)):
        pytest.skip("the check is not tested in a browser: no package chromium")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web_check, "TIMEOUT_SEC", 3.0)
        with pytest.raises(ValueError, match="no answer in|it fails in"):
            web_check.in_browser(tmp_path, 1)
