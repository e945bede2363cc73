import shutil

import numpy as np
import pytest

from pgtf.dataset import inspection, open_dataset, tfrecords
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import demo
from tests.dataset import original

DATASETS = sorted(path for path in original.FULL.iterdir() if path.is_dir())


@pytest.mark.parametrize("path", DATASETS, ids=lambda path: path.name)
def test_the_originals_datasets_are_whole(path):
    assert inspection.verify(str(path)).num_images == open_dataset(path).num_images


@pytest.fixture
def folder(tmp_path):
    demo.create(str(tmp_path / "demo"), 20, 16, options=Options(1))
    return tmp_path / "demo"


def rewrite(folder, level, change):
    """Applies a change to the images of a level; the records are otherwise good."""
    path = folder / f"demo-r{level:02d}.tfrecords"
    file = tfrecords.open_records(str(path))
    images = file.read(range(file.num_records))
    change(images)
    path.write_bytes(tfrecords.to_records(images).tobytes())


@pytest.mark.parametrize("level", [2, 3])
def test_a_level_that_is_not_the_mean_of_the_finest_is_found(level, folder):
    def change(images):
        images[17, 1, 2, 3] ^= 1
        images[18] = 0

    rewrite(folder, level, change)
    offset = 17 * tfrecords.layout((3, 1 << level, 1 << level)).record_size
    message = rf"demo-r0{level}.tfrecords record 17 \(offset {offset}\): the image is not the "
    with pytest.raises(ValueError, match=message):
        inspection.verify(str(folder))


def test_a_changed_finest_image_is_found(folder):
    def change(images):
        images[5] = images[6]

    rewrite(folder, 4, change)
    with pytest.raises(ValueError, match="record 5 .*is not the 8x8 mean"):
        inspection.verify(str(folder))


@pytest.mark.parametrize("level", [2, 3, 4])
def test_a_flipped_bit_is_found(level, folder):
    path = folder / f"demo-r{level:02d}.tfrecords"
    data = bytearray(path.read_bytes())
    size = len(data) // 20
    data[11 * size + size // 2] ^= 16
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"record 11 \(offset {11 * size}\): damaged"):
        inspection.verify(str(folder))


def test_labels_that_are_no_numbers_are_found(folder):
    path = folder / "demo-rxx.labels"
    labels = np.load(path)
    labels[13, 2] = np.nan
    with open(path, "wb") as file:
        np.save(file, labels)
    with pytest.raises(ValueError, match="demo-rxx.labels row 13: must be finite"):
        inspection.verify(str(folder))


def test_extract_does_not_write_into_a_folder_in_use(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("x")
    with pytest.raises(FileExistsError, match="out: is not empty"):
        inspection.extract(str(folder), str(tmp_path / "out"))
    (tmp_path / "out" / "precious").unlink()
    assert inspection.extract(str(folder), str(tmp_path / "out")) == 20
    assert len(list((tmp_path / "out").iterdir())) == 20


def test_an_extraction_that_fails_leaves_nothing(folder, tmp_path):
    data = bytearray((folder / "demo-r04.tfrecords").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "demo-r04.tfrecords").write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        inspection.extract(str(folder), str(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_copies_are_identical_and_others_are_not(folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "copy")
    result = inspection.compare(str(folder), str(tmp_path / "copy"))
    assert result == inspection.Comparison(20, (20, 20), 20, 20)
    demo.create(str(tmp_path / "fewer"), 15, 16, seed=1, options=Options(1))
    result = inspection.compare(str(folder), str(tmp_path / "fewer"))
    assert (result.num_compared, result.num_images, result.identical_images) == (15, (20, 15), 0)
    assert capsys.readouterr().out.count("Image ") == 15


def test_pages_of_a_contact_sheet_go_on_where_the_last_ended(folder):
    dataset = open_dataset(folder, max_label_size=0)
    page = inspection.contact_sheet(dataset, start=5)
    assert page.shape == (8 * 16, 12 * 16, 3)
    np.testing.assert_array_equal(page[:16, :16], dataset.read_images([5])[0])
    np.testing.assert_array_equal(page[16:32, 32:48], dataset.read_images([19])[0])
    assert page[32:].max() == 0


def test_a_window_shows_page_after_page(folder, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    pages = []

    class Figure(plt.Figure):
        def waitforbuttonpress(self, timeout=-1):
            pages.append(np.asarray(self.axes[0].images[-1].get_array()))
            return True

    subplots = plt.subplots
    monkeypatch.setattr(plt, "subplots", lambda **kw: subplots(FigureClass=Figure, **kw))
    monkeypatch.setattr(inspection, "SHEET", (4, 3))
    monkeypatch.setattr(inspection, "has_screen", lambda: True)
    assert inspection.display(str(folder), None) is None
    assert len(pages) == 2  # 20 images, 12 a page
    dataset = open_dataset(folder, max_label_size=0)
    np.testing.assert_array_equal(pages[1], inspection.contact_sheet(dataset, 12))
