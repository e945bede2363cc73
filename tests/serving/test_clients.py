"""The example clients in serving/ against tiny servers on the loopback address."""

import base64
import concurrent.futures
import http.server
import json
import re
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import grpc
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

from pgtf import images
from pgtf.export import Facts
from pgtf.export.signatures import make_module
from pgtf.networks import latents_from_seeds
from serving import grpc_client, rest_client
from tests import tiny
from tests.serving import server_protos, servers

SERVING = Path(__file__).parents[2] / "serving"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two SavedModels, loaded, with the generators they were made of."""
    found = {}
    for name, options in {
        "faces": {},
        "digits": {"label_size": 3, "num_channels": 1},
        "large": {"resolution": 1024, "fmap_base": 512, "fmap_max": 1, "latent_size": 4},
    }.items():
        Gs = tiny.generator(**options)
        module, signatures = make_module(Gs, Facts(name=name))
        folder = str(tmp_path_factory.mktemp("models") / name)
        tf.saved_model.save(module, folder, signatures)
        found[name] = Gs, tf.saved_model.load(folder).signatures
    return found


@pytest.fixture(scope="module")
def target(models):
    """Address of a gRPC server."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    service = servers.PredictionService({name: s for name, (_, s) in models.items()})
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture(scope="module")
def url(models):
    """Address of a REST server."""
    handler = servers.rest_handler({name: s for name, (_, s) in models.items()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def expected(Gs, seeds, labels=None):
    return images.to_uint8(Gs(latents_from_seeds(seeds, Gs.latent_size), labels).numpy())


def levels_off(path, image):
    pixels = np.asarray(PIL.Image.open(path))
    return np.abs(pixels.astype(int) - image.squeeze()).max()


def test_both_clients_write_the_images_of_the_seeds(models, target, url, tmp_path, capsys):
    live = expected(models["faces"][0], [4, 5])
    assert grpc_client.main(["faces", "4", "5", f"--target={target}", f"--out={tmp_path}"]) == 0
    assert levels_off(tmp_path / "seed0005.png", live[1]) <= 1
    (tmp_path / "seed0005.png").unlink()
    assert rest_client.main(["faces", "4", "5", f"--url={url}", f"--out={tmp_path}"]) == 0
    assert levels_off(tmp_path / "seed0005.png", live[1]) <= 1
    assert capsys.readouterr().out.splitlines() == 2 * [
        str(tmp_path / "seed0004.png"), str(tmp_path / "seed0005.png")
    ]  # fmt: skip


def test_both_clients_ask_for_a_class(models, target, url, tmp_path):
    live = expected(models["digits"][0], [7], np.float32([[0, 0, 1]]))[0]
    flags = ["digits", "7", "--class_id=2", f"--out={tmp_path}"]
    assert grpc_client.main([*flags, f"--target={target}"]) == 0
    assert levels_off(tmp_path / "seed0007.png", live) <= 1
    assert rest_client.main([*flags, f"--url={url}"]) == 0
    assert levels_off(tmp_path / "seed0007.png", live) <= 1


def test_grpc_carries_two_images_of_1024_which_exceed_the_usual_limit(models, target):
    client = grpc_client.Client(target)
    answer = grpc_client.fetch(client, "large", [0, 1])
    client.close()
    assert answer.nbytes > 4 * 2**20
    assert np.abs(answer.astype(int) - expected(models["large"][0], [0, 1])).max() <= 1


def test_grpc_reaches_every_signature(models, target, rng):
    client = grpc_client.Client(target)
    latents = rng.normal(size=[2, 8]).astype(np.float32)
    answer = client.predict("faces", "", latents=latents)
    assert (answer["images"].dtype, answer["images"].shape) == (np.uint8, (2, 16, 16, 3))
    assert answer["status"].tolist() == [0, 0]
    answer = client.predict("faces", "interpolate", latents=latents, latents_end=latents,
                            t=np.float32([0, 1]))  # fmt: skip
    assert answer["images"].shape == (2, 16, 16, 3)
    assert client.predict("faces", "info", dummy=np.zeros(1, np.int64))["name"].tolist() == [
        b"faces"
    ]
    client.close()


@pytest.mark.parametrize("client", [grpc_client, rest_client])
def test_a_bad_row_is_told_with_its_status(client, target, url, tmp_path, capsys):
    address = f"--target={target}" if client is grpc_client else f"--url={url}"
    assert client.main(["digits", "7", "--class_id=3", address, f"--out={tmp_path}"]) == 2
    assert capsys.readouterr().err.startswith("error: the row of seed 7 has status 2")
    assert list(tmp_path.iterdir()) == []


def test_a_refused_request_is_told_with_the_reason(target, url):
    client = grpc_client.Client(target)
    with pytest.raises(grpc.RpcError, match=re.escape("`latents` must be [N, 8]")):
        client.predict("faces", "serving_default", latents=np.zeros([2, 7], np.float32))
    client.close()
    with pytest.raises(ValueError, match=re.escape("400")):
        rest_client.fetch(url, "faces", [])


def test_a_server_that_is_not_there_is_one_line(tmp_path, capsys):
    assert rest_client.main(["faces", "1", "--url=http://127.0.0.1:9"]) == 2
    assert grpc_client.main(["faces", "1", "--target=127.0.0.1:9"]) == 2
    assert [line[:6] for line in capsys.readouterr().err.splitlines()] == ["error:", "error:"]


@pytest.mark.parametrize("page", ["docs/serving.md", "README.md"])
def test_the_request_that_the_page_shows_is_answered(page, models, url):
    """The request is the one for curl; the page may have a line that decodes the reply."""
    text = (SERVING.parent / page).read_text()
    (body,) = re.findall(r"demo:predict \\\n +-d '(.+)'", text)
    with urllib.request.urlopen(f"{url}/v1/models/faces:predict", body.encode()) as file:
        reply = file.read()
    (line,) = re.findall(r"python -c '(.+?)' >", text, re.DOTALL) or [DECODE]
    done = subprocess.run([sys.executable, "-c", line], input=reply, capture_output=True)
    png = tf.io.decode_png(done.stdout).numpy()
    assert np.abs(png.astype(int) - expected(models["faces"][0], [7])[0]).max() <= 1


DECODE = """import json, sys, base64
answer = json.load(sys.stdin)["predictions"][0]
sys.stdout.buffer.write(base64.b64decode(answer["image_bytes"]["b64"]))"""


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_both_json_formats_are_those_of_the_page(form, models, url):
    text = (SERVING.parent / "docs" / "serving.md").read_text()
    (body,) = re.findall(rf'`(\{{[^`]+"{form}":[^`]+)`', text)
    with urllib.request.urlopen(f"{url}/v1/models/faces:predict", body.encode()) as file:
        reply = json.load(file)
    if form == "inputs":
        assert reply["outputs"]["status"] == [0, 0]
        files = reply["outputs"]["image_bytes"]
    else:
        assert [row["status"] for row in reply["predictions"]] == [0, 0]
        files = [row["image_bytes"] for row in reply["predictions"]]
    pngs = np.stack([tf.io.decode_png(base64.b64decode(file["b64"])) for file in files])
    assert np.abs(pngs.astype(int) - expected(models["faces"][0], [1, 2])).max() <= 1


def test_the_model_list_is_one_that_the_server_parses():
    text = (SERVING / "models.config").read_text()
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = parsed.model_config_list.config
    assert (model.name, model.base_path) == ("demo", "/models/demo")


def test_the_other_settings_are_ones_that_the_server_parses():
    monitoring = server_protos.parse(
        "MonitoringConfig", (SERVING / "monitoring.config").read_text()
    )
    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path == "/monitoring/prometheus/metrics"
    batching = server_protos.parse("BatchingParameters", (SERVING / "batching.config").read_text())
    assert list(batching.allowed_batch_sizes) == [1, 2, 4, 8]
    assert (batching.max_batch_size.value, batching.num_batch_threads.value) == (8, 2)
