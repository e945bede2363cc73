import numpy as np
import pytest

from pgtf.dataset import open_dataset
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import demo


def draw(num, resolution=32, seed=0):
    faces = demo.sample_faces(num, seed)
    return demo.draw_faces(faces, resolution), demo.factor_values(faces)


def test_faces_follow_from_seed_and_number():
    few, _ = draw(3)
    many, _ = draw(40)
    np.testing.assert_array_equal(many[:3], few)
    assert (draw(3, seed=1)[0] != few).any()


def test_faces_are_written_down():
    """They are the reals of published numbers: another version draws the same bytes."""
    faces, _ = draw(4)
    assert faces.sum((1, 2, 3)).tolist() == SUMS
    assert faces[0, :, 16, 16].tolist() == CENTER


SUMS = [463845, 470415, 578455, 442058]
CENTER = [72, 54, 55]


def test_the_same_face_at_a_finer_resolution_is_the_same_picture():
    small, large = draw(10)[0].astype(float), draw(10, resolution=128)[0].astype(float)
    shrunk = large.reshape(10, 3, 32, 4, 32, 4).mean((3, 5))
    assert np.abs(shrunk - small).mean() < 3  # gray levels: edges differ, areas do not


def test_factors_are_uniform_and_independent():
    values = demo.factor_values(demo.sample_faces(20_000, 0))
    for column, names in zip(values.T, demo.FACTORS.values(), strict=True):
        counts = np.bincount(column, minlength=len(names))
        assert ((counts - 20_000 / len(names)) ** 2 / (20_000 / len(names))).sum() < 20
    assert np.abs(np.corrcoef(values.T) - np.eye(len(demo.FACTORS))).max() < 0.03


def test_labels_name_every_value_of_every_factor():
    faces = demo.sample_faces(100, 0)
    labels, names = demo.label_matrix(faces), demo.label_names()
    assert labels.shape == (100, len(names))
    assert (labels.sum(1) == len(demo.FACTORS)).all()
    values = demo.factor_values(faces)
    assert names[:5] == ["skin=light", "skin=tan", "skin=dark", "hair=black", "hair=blond"]
    np.testing.assert_array_equal(labels[:, 3:7].argmax(1), values[:, 1])


@pytest.fixture(scope="module")
def seen():
    """Scores of a linear map of the 32x32 pixels for new faces, and the true factors."""
    images, values = draw(2400)
    x = images[:, :, ::2, ::2].reshape(2400, -1) / 255.0
    x = np.concatenate([x, np.ones((2400, 1))], axis=1)
    labels = demo.label_matrix(demo.sample_faces(2400, 0))
    normal = x[:1600].T @ x[:1600] + np.eye(x.shape[1])
    return x[1600:] @ np.linalg.solve(normal, x[:1600].T @ labels[:1600]), values[1600:]


@pytest.mark.parametrize("factor", list(demo.FACTORS))
def test_every_factor_can_be_seen(factor, seen):
    scores, values = seen
    index = list(demo.FACTORS).index(factor)
    begin = sum(len(names) for names in list(demo.FACTORS.values())[:index])
    found = scores[:, begin : begin + len(demo.FACTORS[factor])].argmax(1)
    assert (found == values[:, index]).mean() > 0.98


@pytest.mark.parametrize("resolution", [4, 8, 64])
def test_any_power_of_two_is_drawn(resolution, tmp_path):
    demo.create(str(tmp_path / "demo"), 5, resolution, options=Options(1))
    dataset = open_dataset(tmp_path / "demo", max_label_size="full")
    assert (dataset.resolution, dataset.num_images, dataset.num_channels) == (resolution, 5, 3)
    assert dataset.label_names == tuple(demo.label_names())
    assert dataset.meta["factors"] == {k: list(v) for k, v in demo.FACTORS.items()}
    faces, _ = draw(5, resolution)
    np.testing.assert_array_equal(dataset.read_images(range(5)).transpose(0, 3, 1, 2), faces)
    expected = demo.label_matrix(demo.sample_faces(5, 0))
    np.testing.assert_array_equal(dataset.read_labels(range(5)), expected)
