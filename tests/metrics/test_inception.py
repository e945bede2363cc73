"""Loading and feeding the frozen graph of 2015, on a small one of the same names and operations."""

import hashlib
import io
import tarfile

import numpy as np
import PIL.Image
import pytest
from tensorflow.core.framework import graph_pb2

from pgtf.metrics import inception
from tests.metrics.frozen_graph import CLASSES, FEATURES, SIDE, FrozenGraph


@pytest.fixture(scope="module")
def graph():
    return FrozenGraph()


@pytest.fixture(scope="module")
def path(graph, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / inception.GRAPH_NAME
    path.write_bytes(graph.serialized())
    return path


@pytest.fixture(scope="module")
def legacy(path):
    return inception.Inception(path)


def random_images(rng, num, side, channels=3):
    return rng.integers(0, 256, (num, side, side, channels), np.uint8)


def resize_like_tf1(image):
    """Bilinear without half-pixel centres or antialiasing: [R, R, C] -> [299, 299, C]."""
    place = np.arange(SIDE) * image.shape[0] / SIDE
    low = place.astype(int)
    high = np.minimum(low + 1, image.shape[0] - 1)
    part = (place - low)[:, None, None]
    rows = image[low] * (1 - part) + image[high] * part
    part = part.transpose(1, 0, 2)
    return rows[:, low] * (1 - part) + rows[:, high] * part


def test_legacy_mode_resizes_inside_the_graph_without_antialiasing(graph, legacy, rng):
    images = random_images(rng, 3, 16)
    features, probabilities = legacy(images)
    expected = graph.features(np.stack([resize_like_tf1(x.astype(np.float64)) for x in images]))
    assert features.shape == (3, FEATURES)
    assert probabilities.shape == (3, CLASSES)
    np.testing.assert_allclose(features, expected, atol=1e-4)
    np.testing.assert_allclose(probabilities, graph.probabilities(expected), atol=1e-4)


def test_clean_mode_resizes_with_pillow_in_float(graph, path, rng):
    images = random_images(rng, 2, 16)
    features, _ = inception.Inception(path, mode="clean")(images)
    resized = np.empty((2, SIDE, SIDE, 3))
    for image, out in zip(images, resized, strict=True):
        for channel in range(3):
            plane = PIL.Image.fromarray(image[:, :, channel].astype(np.float32))
            out[:, :, channel] = plane.resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC)
    np.testing.assert_allclose(features, graph.features(resized.clip(0, 255)), atol=1e-4)


def test_clean_mode_antialiases_and_legacy_does_not():
    """A checkerboard of single pixels shrinks to gray only if each output sees all its inputs."""
    board = (np.indices((600, 600)).sum(axis=0) % 2 * 255).astype(np.uint8)[None, :, :, None]
    clean = inception.resize_clean(board)[0, 10:-10, 10:-10]
    assert np.abs(clean - 127.5).max() < 5
    assert np.abs(resize_like_tf1(board[0].astype(float)) - 127.5).max() > 100


def test_clean_mode_keeps_299_pixels_as_they_are(legacy, path, rng):
    images = random_images(rng, 1, SIDE)
    clean = inception.Inception(path, mode="clean")
    np.testing.assert_allclose(clean(images)[0], legacy(images)[0], atol=1e-5)


def test_values_do_not_depend_on_how_images_are_batched(legacy, rng):
    images = random_images(rng, 53, 4)  # more than one minibatch of the network
    alone = np.concatenate([legacy(image[None])[0] for image in images])
    np.testing.assert_allclose(legacy(images)[0], alone, atol=1e-5)


def test_gray_images_are_shown_in_three_channels(legacy, rng):
    gray = random_images(rng, 2, 8, channels=1)
    np.testing.assert_array_equal(legacy(gray)[0], legacy(gray.repeat(3, axis=3))[0])


def test_other_channels_are_refused(legacy, rng):
    with pytest.raises(ValueError, match="RGB or gray images. Received: 2 channels"):
        legacy(random_images(rng, 1, 8, channels=2))


def test_the_hash_of_the_file_is_reported_and_compared(legacy, path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert legacy.sha256 == digest
    inception.Inception(path, sha256=digest.upper())
    with pytest.raises(ValueError, match=f"Received: SHA-256 {digest}"):
        inception.Inception(path, sha256="0" * 64)


def test_another_file_is_refused_in_one_line(path, graph, tmp_path):
    wrong = tmp_path / "wrong.pb"
    other = graph.serialized().replace(b"pool_3", b"pool_4")
    unknown = graph.serialized().replace(b"AvgPool", b"NoSuchO")
    newer = graph_pb2.GraphDef.FromString(graph.serialized())
    newer.versions.producer = 99_999
    contents = [b"", b"not a graph at all", path.read_bytes()[:-50], other, unknown]
    for content in [*contents, newer.SerializeToString()]:
        wrong.write_bytes(content)
        message = "refused operation" if content == unknown else "not the frozen graph of 2015"
        with pytest.raises(ValueError, match=message) as caught:
            inception.Inception(wrong)
        assert "\n" not in str(caught.value)
        assert str(wrong) in str(caught.value)


def test_a_device_without_end_is_refused():
    with pytest.raises(ValueError, match="/dev/zero: must be a regular file"):
        inception.Inception("/dev/zero")


def test_a_graph_with_damaged_weights_is_refused(tmp_path, rng):
    damaged = FrozenGraph()
    damaged.beta[2] = np.nan
    (tmp_path / "damaged.pb").write_bytes(damaged.serialized())
    network = inception.Inception(tmp_path / "damaged.pb")
    with pytest.raises(ValueError, match="damaged.pb: must give finite features. Received: NaN"):
        network(random_images(rng, 1, 8))


def test_a_mode_that_does_not_exist_is_refused(path):
    with pytest.raises(ValueError, match="one of legacy, clean. Received: mode=bicubic"):
        inception.Inception(path, mode="bicubic")


def make_archive(path, name, content):
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


def test_download_unpacks_the_graph_alone(tmp_path, graph):
    archive = tmp_path / "archive.tgz"
    make_archive(archive, inception.GRAPH_NAME, graph.serialized())
    target = tmp_path / "cache" / "graph.pb"
    assert inception.download(target, archive.as_uri()) == target
    assert target.read_bytes() == graph.serialized()
    assert list(target.parent.iterdir()) == [target]
    assert inception.file_sha256(target) == hashlib.sha256(graph.serialized()).hexdigest()


def test_a_download_of_another_graph_is_refused(tmp_path, graph):
    archive, target = tmp_path / "archive.tgz", tmp_path / "cache" / "graph.pb"
    make_archive(archive, inception.GRAPH_NAME, graph.serialized())
    digest = hashlib.sha256(graph.serialized()).hexdigest()
    with pytest.raises(ValueError, match=f"not the Inception file expected.*SHA-256 {digest}"):
        inception.download(target, archive.as_uri(), sha256="0" * 64)
    assert list(target.parent.iterdir()) == []
    assert inception.download(target, archive.as_uri(), sha256=digest.upper()) == target


def test_a_download_shows_its_progress(tmp_path, graph, capsys):
    archive = tmp_path / "archive.tgz"
    make_archive(archive, inception.GRAPH_NAME, graph.serialized())
    inception.download(tmp_path / "graph.pb", archive.as_uri(), progress=True)
    assert f"{inception.GRAPH_NAME}: 100%" in capsys.readouterr().err


def test_a_download_without_end_or_that_unpacks_to_gigabytes_is_refused(
    tmp_path, graph, monkeypatch
):
    archive, target = tmp_path / "archive.tgz", tmp_path / "cache" / "graph.pb"
    make_archive(archive, inception.GRAPH_NAME, bytes(1 << 20))
    monkeypatch.setattr(inception, "MAX_BYTES", 1 << 16)
    with pytest.raises(ValueError, match="must be an archive .* .more than 0 MiB after decompress"):
        inception.download(target, archive.as_uri())
    monkeypatch.setattr(inception, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="must have at most 0 MiB. Received: more."):
        inception.download(target, archive.as_uri())
    assert list(target.parent.iterdir()) == []


def test_a_graph_that_fails_when_it_runs_is_named(tmp_path, graph):
    elsewhere = graph_pb2.GraphDef.FromString(graph.serialized())
    for node in elsewhere.node:
        node.device = "/job:elsewhere/task:9"
    (tmp_path / "graph.pb").write_bytes(elsewhere.SerializeToString())
    found = inception.Inception(tmp_path / "graph.pb")
    with pytest.raises(ValueError, match="graph.pb: not the frozen graph of 2015") as caught:
        found(np.zeros((1, 8, 8, 3), np.uint8))
    assert "\n" not in str(caught.value)


def test_a_failed_download_leaves_nothing_behind(tmp_path):
    other, garbage = tmp_path / "other.tgz", tmp_path / "garbage.tgz"
    make_archive(other, "something/else.pb", b"x")
    garbage.write_bytes(b"<html>not found</html>")
    target = tmp_path / "cache" / "graph.pb"
    torn = tmp_path / "torn.tgz"
    make_archive(torn, inception.GRAPH_NAME, np.random.RandomState(0).bytes(99_999))
    content = bytearray(torn.read_bytes())
    content[2000:3000] = bytes(1000)
    torn.write_bytes(content)
    for archive in (other, garbage, torn):
        with pytest.raises(ValueError, match=f"must be an archive of {inception.GRAPH_NAME}"):
            inception.download(target, archive.as_uri())
    with pytest.raises(OSError, match="missing"):
        inception.download(target, (tmp_path / "missing.tgz").as_uri())
    assert list(target.parent.iterdir()) == []
