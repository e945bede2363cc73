import os

import numpy as np
import PIL.Image
import pytest

from pgtf.dataset import display, open_dataset
from pgtf.dataset.exporter import Options
from pgtf.dataset.sources import demo


@pytest.fixture
def folder(tmp_path):
    demo.create(str(tmp_path / "demo"), 20, 16, options=Options(1))
    return tmp_path / "demo"


def no_space(*args):
    raise OSError(28, "No space left on device")  # as `write` of an open file does


def test_a_page_that_cannot_be_written_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left on device: '.*/page.png'"):
        display.display(str(folder), str(tmp_path / "page.png"))
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match="'.*/nowhere/page.png'"):
        display.display(str(folder), str(tmp_path / "nowhere" / "page.png"))
    assert [x.name for x in tmp_path.iterdir()] == ["demo"]


def test_pages_of_a_contact_sheet_go_on_where_the_last_ended(folder):
    dataset = open_dataset(folder, max_label_size=0)
    page = display.contact_sheet(dataset, start=5)
    assert page.shape == (8 * 16, 12 * 16, 3)
    np.testing.assert_array_equal(page[:16, :16], dataset.read_images([5])[0])
    np.testing.assert_array_equal(page[16:32, 32:48], dataset.read_images([19])[0])
    assert page[32:].max() == 0


def test_a_screen_without_a_toolkit_gets_a_contact_sheet(folder, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    monkeypatch.chdir(folder.parent)
    monkeypatch.setattr(display, "has_screen", lambda: True)
    assert display.display(str(folder), None) == "demo-contact-sheet.png"
    assert (folder.parent / "demo-contact-sheet.png").stat().st_size > 0
    assert plt.get_fignums() == []


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
    monkeypatch.setattr(display, "SHEET", (4, 3))
    monkeypatch.setattr(display, "has_screen", lambda: True)
    canvas = type(plt.figure().canvas)
    monkeypatch.setattr(canvas, "required_interactive_framework", "one")
    assert display.display(str(folder), None) is None
    assert len(pages) == 2  # 20 images, 12 a page
    dataset = open_dataset(folder, max_label_size=0)
    np.testing.assert_array_equal(pages[1], display.contact_sheet(dataset, 12))


@pytest.mark.parametrize(("name", "kind"), [("x.jpg", "JPEG"), ("x.PNG", "PNG"), ("x", "PNG")])
def test_a_page_has_the_format_of_its_name(name, kind, folder, tmp_path):
    display.display(str(folder), str(tmp_path / name))
    with PIL.Image.open(tmp_path / name) as picture:
        assert picture.format == kind
        pixels = np.asarray(picture).astype(int)
    sheet = display.contact_sheet(open_dataset(folder, max_label_size=0))
    assert np.abs(pixels - sheet).mean() < (3 if kind == "JPEG" else 1e-9)


def test_a_page_in_an_unknown_format_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="`save` must end in .png, .jpg, .jpeg, .webp. Received: "):
        display.display(str(folder), str(tmp_path / "x.bmp"))
