"""The page of a network in a real browser, where there is gradio."""

import gc
import io
import json
import time
import urllib.request
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from pgtf.export import explore, walk
from pgtf.export.explorable import LiveModel, latents_of
from pgtf.export.source import Source
from tests import tiny


@pytest.fixture
def page():
    """Address of the page of a generator, on a free port."""
    pytest.importorskip("gradio", reason="the explore page is not tested: no gradio")
    Gs = tiny.generator(label_size=2)
    model = LiveModel(Source(Gs, Path("x.h5"), {"label_names": ["cat", "dog"]}))
    app, address = explore.explore(model, "127.0.0.1", None, wait=False)
    yield model, address
    app.close()
    gc.collect()  # what gradio leaves open warns here, not at the end of all tests


class Page:
    """The actions of a person on the page."""

    def __init__(self, browser, address, downloads):
        self.browser, self.downloads = browser, downloads
        allow = {"behavior": "allow", "downloadPath": str(downloads)}
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", allow)
        browser.get(address)

    def find(self, css):
        return self.until(lambda: self.browser.find_elements("css selector", css))[0]

    def until(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, "the page did not get there"
            time.sleep(0.1)
        return found

    def open_tab(self, name):
        tabs = self.browser.find_elements("css selector", "button[role=tab]")
        next(tab for tab in tabs if tab.text == name).click()

    def type(self, css, text):
        field = self.find(f"{css} input")
        self.browser.execute_script("arguments[0].select()", field)
        field.send_keys(text, "\t")

    def download(self, css, name):
        """Clicks a button. Returns the bytes that it saves under a name."""
        self.find(css).click()
        path = self.downloads / name
        self.until(lambda: path.exists() and path.stat().st_size)
        return path.read_bytes()

    def pixels(self, css):
        """Reads the picture shown, reduced to the network's pixels."""
        with urllib.request.urlopen(self.find(f"{css} img").get_attribute("src")) as file:
            shown = np.asarray(PIL.Image.open(io.BytesIO(file.read())).convert("RGB"))
        return shown[12::24, 12::24].astype(int)  # 16 pixels shown as 384

    def shows(self, css, expected):
        def same():
            shown = self.pixels(css)
            return shown.shape == expected.shape and np.abs(shown - expected).max() <= 1

        self.until(same)


@pytest.mark.filterwarnings("default")  # gradio's own
def test_a_person_walks_through_the_page(page, browser, tmp_path):
    model, address = page
    walker = Page(browser, address, tmp_path)
    latents = latents_of(model, [0, 1, 7])

    walker.shows("#one", model.generate(latents[:1], 0, 0)[0])
    walker.type("#seed", "7")
    walker.shows("#one", model.generate(latents[2:], 0, 0)[0])
    downloaded = np.asarray(PIL.Image.open(io.BytesIO(walker.download("#png", "seed0007.png"))))
    assert np.array_equal(downloaded, model.generate(latents[2:], 0, 0)[0])
    saved = np.load(io.BytesIO(walker.download("#latent", "seed0007-latent.npy")))
    assert np.array_equal(saved, latents[2:])

    walker.open_tab("Grid")
    walker.until(lambda: len(browser.find_elements("css selector", "#cells img")) == 12)

    walker.open_tab("Between")
    middle = walk.interpolate(latents[:1], latents[1:2], [0.5]).numpy()
    walker.shows("#between", model.generate(middle, 0, 0)[0])

    walker.open_tab("Growing")
    walker.shows("#growing", model.generate(latents[:1], 0, 0)[0])
    assert "These are the weights of one snapshot." in walker.find("#note").text
    walker.type("#growth", "0")
    coarse = model.generate(latents[:1], 0, 2)[0]
    walker.shows("#growing", coarse.repeat(4, axis=0).repeat(4, axis=1))

    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert _foreign_requests(browser, address) == []
    assert len(browser.get_screenshot_as_png()) > 10_000


def _foreign_requests(browser, address):
    """Lists addresses outside this machine that the page requested."""
    found = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return [url for url in found if not url.startswith((address, "data:", "blob:", "chrome"))]
