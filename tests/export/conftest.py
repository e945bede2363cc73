"""Two exported models, made once for all tests: one plain, one with labels in the middle of a fade.

The check in a fresh process is left out here; tests/export/test_self_check.py is about it.
"""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pgtf.export import Facts, export, export_generator
from pgtf.networks import Generator
from tests import tiny

NO_REPORT = {"latency_ms": {}, "largest_difference_levels": {}}


@dataclasses.dataclass(frozen=True)
class Exported:
    """A live generator and its SavedModel, loaded."""

    Gs: Generator
    folder: Path
    signatures: dict


def make(folder, **options):
    rng = np.random.default_rng(5)
    return tiny.with_random_biases(tiny.generator(**options), rng), folder


@pytest.fixture(scope="package")
def plain(tmp_path_factory):
    """16x16 RGB, finished."""
    Gs, out = make(tmp_path_factory.mktemp("models") / "plain")
    return _exported(Gs, out, Facts(name="faces", kimg=12))


@pytest.fixture(scope="package")
def labelled(tmp_path_factory):
    """8x8 gray of a 16x16 network, half of it faded in, three classes."""
    options = {"label_size": 3, "num_channels": 1, "latent_size": 5}
    Gs, out = make(tmp_path_factory.mktemp("models") / "labelled", **options)
    Gs.lod = 1.5
    return _exported(Gs, out, Facts(name="digits", label_names=("a", "b", "c")))


def _exported(Gs, out, facts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "self_check", lambda folder, expected: NO_REPORT)
        folder = export_generator(Gs, out, facts=facts)
    return Exported(Gs, folder, tf.saved_model.load(str(folder)).signatures)


@pytest.fixture
def browser():
    """Headless Chromium at phone width."""
    untested = "pages are not tested in a browser: no "
    webdriver = pytest.importorskip("selenium.webdriver", reason=f"{untested}selenium")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip(f"{untested}chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    screen = {"width": 390, "height": 844, "pixelRatio": 1.0}
    options.add_experimental_option("mobileEmulation", {"deviceMetrics": screen})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield found
    found.quit()
