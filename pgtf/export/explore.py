"""A local web page to walk through a model: seeds, grid, interpolation, growing. Needs gradio."""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pgtf import images
from pgtf.export import film
from pgtf.export.explorable import Model, latents_of
from pgtf.export.walk import interpolate

MIN_GRADIO = 6  # the first version that takes the theme when it launches
DISPLAY_SIDE = 384  # pixels; smaller images are shown enlarged, and downloaded as they are
CELL_SIDE = 128
MAX_SEED = 2**31 - 1
MAX_GRID = 36
LIVE = {"trigger_mode": "always_last", "show_progress": "hidden"}  # options of slider events
CSS = """
.gradio-container { max-width: 960px !important; width: 100% !important; margin: auto !important; }
#title h1 { font-size: 1.6rem; margin: 0.4rem 0 0; }
#title p { opacity: 0.75; margin: 0; }
.picture img, .cells img { image-rendering: pixelated; }
.cells .grid-wrap { max-height: none !important; overflow: hidden; }
.cells .grid-container {
  grid-template-columns: repeat(auto-fill, minmax(max(104px, 22%), 1fr)) !important;
}
@media (max-width: 640px) { .gradio-container { padding: 8px !important; } }
"""


def explore(
    model: Model, host: str, port: int | None, open_browser: bool = False, wait: bool = True
) -> tuple[Any, str]:
    """Opens the page of a model. Returns (app, address).

    Args:
        model: the model to show.
        host: address to listen on; 127.0.0.1 = this machine only.
        port: number, None = the next free one from 7860.
        open_browser: opens the page in the browser.
        wait: returns only when the user stops the page.

    Raises:
        ValueError: if gradio is missing.
        OSError: if the port is taken.
    """
    gr = _gradio()
    app = build(gr, model)
    # System fonts and no statistics: the page loads nothing from the network.
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    _, address, _ = app.launch(
        server_name=host,
        server_port=port,
        inbrowser=open_browser,
        prevent_thread_lock=True,
        share=False,
        quiet=True,
        footer_links=[],
        theme=gr.themes.Soft(primary_hue="indigo", **fonts),
        css=CSS,
    )
    print(f"{model.name}: {address} (stop with Ctrl+C)", flush=True)
    if wait:
        app.block_thread()
    return app, address


def build(gr: Any, model: Model) -> Any:
    """Builds the page as gradio.Blocks."""
    folder = tempfile.mkdtemp(prefix="explore-")  # holds the files for download
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    view = _View(gr, model, Path(folder))
    with gr.Blocks(title=f"{model.name} - explore", analytics_enabled=False) as page:
        size = view.picture(0, 0, 0, model.lod)[0].shape
        gr.Markdown(
            f"# {model.name}\n{size[1]}x{size[0]} images from {model.latent_size} numbers. "
            "A seed is the same here, in every command and in the exported model.",
            elem_id="title",
        )
        with gr.Tab("Image"):
            view.add_one()
        with gr.Tab("Grid"):
            view.add_grid()
        with gr.Tab("Between"):
            view.add_between()
        if model.max_lod is not None:
            with gr.Tab("Growing"):
                view.add_growing(model.max_lod)
    return page


class _View:
    """The tabs of the page and their contents."""

    def __init__(self, gr: Any, model: Model, folder: Path) -> None:
        self._gr, self._model, self._folder = gr, model, folder

    def picture(
        self, begin: float, end: float, t: float, lod: float, class_id: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Generates the image between two seeds. Returns it, [R, R, C], and its latents [1, L]."""
        ends = latents_of(self._model, [int(begin), int(end)])
        latents = ends[:1] if begin == end else interpolate(ends[:1], ends[1:], [t]).numpy()
        return self._model.generate(latents, class_id, lod)[0], latents

    def add_one(self) -> None:
        """Adds one image, chosen by its seed."""
        gr = self._gr
        with gr.Row():
            with gr.Column(scale=1, min_width=240):
                seed = self._seed("Seed", 0, "seed")
                another = gr.Button("Another one", variant="primary", elem_id="another")
                class_id = self._class()
                png = gr.DownloadButton("Download PNG", elem_id="png")
                latent = gr.DownloadButton("Download latent", elem_id="latent")
            picture = self._image(scale=2, elem_id="one")
        outputs = [picture, png, latent]

        def show(seed: float, class_id: int) -> tuple[np.ndarray, str, str]:
            image, latents = self.picture(seed, seed, 0, self._model.lod, class_id)
            stem = self._folder / f"seed{int(seed):04d}"
            images.save_png(f"{stem}.png", image)
            np.save(f"{stem}-latent.npy", latents)
            return _enlarged(image, DISPLAY_SIDE), f"{stem}.png", f"{stem}-latent.npy"

        inputs = [seed, class_id]
        self._react(show, inputs, outputs, [seed.change, class_id.change])
        another.click(lambda: random.randint(0, MAX_SEED), outputs=seed, show_progress="hidden")

    def add_grid(self) -> None:
        """Adds the images of successive seeds."""
        gr = self._gr
        with gr.Row():
            first = self._seed("First seed", 0, "first")
            number = gr.Slider(4, MAX_GRID, 12, step=4, label="Images", elem_id="number")
            class_id = self._class()
        cells = gr.Gallery(
            columns=4, height="auto", show_label=False, format="png", elem_id="cells",
            elem_classes="cells", object_fit="contain", buttons=[],
        )  # fmt: skip

        def show(first: float, number: float, class_id: int) -> list[tuple[np.ndarray, str]]:
            seeds = range(int(first), int(first) + int(number))
            latents = latents_of(self._model, seeds)
            fakes = self._model.generate(latents, class_id, self._model.lod)
            pairs = zip(fakes, seeds, strict=True)
            return [(_enlarged(image, CELL_SIDE), f"seed {seed}") for image, seed in pairs]

        inputs = [first, number, class_id]
        self._react(show, inputs, cells, [first.change, number.change, class_id.change])

    def add_between(self) -> None:
        """Adds the arc between two seeds."""
        gr = self._gr
        with gr.Row():
            with gr.Column(scale=1, min_width=240):
                begin = self._seed("From seed", 0, "begin")
                end = self._seed("To seed", 1, "end")
                t = gr.Slider(0, 1, 0.5, step=0.01, label="Position on the arc", elem_id="t")
                class_id = self._class()
            picture = self._image(scale=2, elem_id="between")

        def show(begin: float, end: float, t: float, class_id: int) -> np.ndarray:
            image, _ = self.picture(begin, end, t, self._model.lod, class_id)
            return _enlarged(image, DISPLAY_SIDE)

        inputs = [begin, end, t, class_id]
        self._react(show, inputs, picture, [begin.change, end.change, t.change, class_id.change])

    def add_growing(self, max_lod: int) -> None:
        """Adds one image at any level of detail."""
        gr = self._gr
        with gr.Row():
            with gr.Column(scale=1, min_width=240):
                seed = self._seed("Seed", 0, "grown")
                # The slider counts opposite to lod, so that the image grows from left to right.
                steps = gr.Slider(
                    0,
                    max_lod,
                    max_lod - self._model.lod,
                    step=0.05,
                    label="Growth",
                    info=f"0 = 4x4, {max_lod} = {4 << max_lod}x{4 << max_lod}; between them the "
                    "next resolution fades in",
                    elem_id="growth",
                )
                class_id = self._class()
            picture = self._image(scale=2, elem_id="growing")

        def show(seed: float, steps: float, class_id: int) -> np.ndarray:
            image, _ = self.picture(seed, seed, 0, max_lod - steps, class_id)
            return _enlarged(image, DISPLAY_SIDE)

        inputs = [seed, steps, class_id]
        self._react(show, inputs, picture, [seed.change, steps.change, class_id.change])

    def _react(
        self, show: Callable[..., Any], inputs: list[Any], outputs: Any, events: Sequence[Any]
    ) -> None:
        """Calls `show` once when the page loads, then on every event."""

        def checked(*values: Any) -> Any:
            if any(value is None or value < 0 for value in values):
                raise self._gr.Error("A seed is a number from 0 upwards.")
            return show(*values)

        for event in (self._gr.context.Context.root_block.load, *events):
            event(checked, inputs, outputs, **LIVE)

    def _seed(self, label: str, value: int, elem_id: str) -> Any:
        return self._gr.Number(
            value, label=label, precision=0, minimum=0, maximum=MAX_SEED, elem_id=elem_id
        )

    def _class(self) -> Any:
        """Adds a menu of the classes, by name; hidden without labels."""
        choices = [(name, i) for i, name in enumerate(self._model.label_names)] or [("none", 0)]
        return self._gr.Dropdown(choices, value=0, label="Class", visible=len(choices) > 1)

    def _image(self, **options: Any) -> Any:
        return self._gr.Image(
            format="png",
            interactive=False,
            show_label=False,
            buttons=["fullscreen"],
            elem_classes="picture",
            **options,
        )


def _enlarged(image: np.ndarray, side: int) -> np.ndarray:
    """Repeats pixels up to about `side`, and gives gray images three channels."""
    return film.to_rgb(film.zoomed(image, max(side // image.shape[0], 1)))


def _gradio() -> Any:
    """Imports gradio; raises ValueError if it is missing or too old."""
    remedy = f"pip install 'gradio>={MIN_GRADIO}'."
    try:
        import gradio
    except ImportError:
        raise ValueError(f"explore needs the package gradio: {remedy}") from None
    if int(gradio.__version__.partition(".")[0]) < MIN_GRADIO:
        raise ValueError(f"explore needs a newer gradio than {gradio.__version__}: {remedy}")
    return gradio
