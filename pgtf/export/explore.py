"""A local web page to walk through a model: seeds, grid, interpolation, growing. Needs gradio."""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pgtf import images
from pgtf.export import film, shown_files
from pgtf.export.explorable import Model, latents_of
from pgtf.export.gate import MAX_BODY, Gate
from pgtf.export.walk import interpolate
from pgtf.foreign.terminal import printable

MIN_GRADIO = 6  # the first version that takes the theme when it launches
DISPLAY_SIDE = 384  # pixels; smaller images are shown enlarged, and downloaded as they are
CELL_SIDE = 128
MAX_SEED = 2**31 - 1
MAX_GRID = 36
MAX_MENU = 1000  # classes in a menu; more are chosen by number
MAX_NAME = 80  # characters of a name in the page
MAX_WAITING = 256  # events of all visitors
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
    shown = shown_files.ShownFiles()  # before gradio is imported, which makes a folder in its own
    try:
        gr = _gradio()
        from starlette.middleware import Middleware

        app = build(gr, model, shown)
    except BaseException:
        shown.remove()
        raise
    app.queue(max_size=MAX_WAITING)
    # System fonts and no statistics: the page loads nothing from the network.
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    _, address, _ = app.launch(
        server_name=host,
        server_port=port,
        inbrowser=open_browser,
        prevent_thread_lock=True,
        share=False,
        ssr_mode=False,
        quiet=True,
        max_file_size=MAX_BODY,
        app_kwargs={"middleware": [Middleware(Gate, host)]},
        footer_links=[],
        theme=gr.themes.Soft(primary_hue="indigo", **fonts),
        css=CSS,
    )
    print(f"{printable(model.name)[:MAX_NAME]}: {address} (stop with Ctrl+C)", flush=True)
    if wait:
        _wait(app, shown)
    return app, address


def _wait(app: Any, shown: shown_files.ShownFiles) -> None:
    """Returns when the user stops the page; its files are gone then."""
    try:
        while app.is_running:
            time.sleep(0.1)
    except KeyboardInterrupt:
        print("Stopping ...", flush=True)
    finally:
        shown.remove()  # first, because an impatient user may end the process while it closes
        app.close(verbose=False)
        shown.remove()


def build(gr: Any, model: Model, shown: shown_files.ShownFiles) -> Any:
    """Builds the page as gradio.Blocks."""
    view = _View(gr, model, shown)
    name = printable(model.name)[:MAX_NAME]
    with gr.Blocks(title=f"{name} - explore", analytics_enabled=False) as page:
        size = view.picture(0, 0, 0, model.lod)[0].shape
        gr.Markdown(
            f"# {_plain(name)}\n{size[1]}x{size[0]} images from {model.latent_size} numbers. "
            "A seed is the same here, in every command and in the exported model.",
            elem_id="title",
        )
        with gr.Tab("Image"):
            view.add_one()
        with gr.Tab("Grid"):
            view.add_grid()
        with gr.Tab("Between"):
            view.add_between()
        if model.max_lod:  # A 4x4 network has one level, and an exported one shows one.
            with gr.Tab("Growing"):
                view.add_growing(model.max_lod)
    return page


class _View:
    """The tabs of the page and their contents."""

    def __init__(self, gr: Any, model: Model, shown: shown_files.ShownFiles) -> None:
        self._gr, self._model, self._shown = gr, model, shown

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
            png = self._shown.download(f"seed{int(seed):04d}.png")
            npy = self._shown.download(f"seed{int(seed):04d}-latent.npy")
            images.save_png(str(png), image)
            np.save(npy, latents)
            return _enlarged(image, DISPLAY_SIDE), str(png), str(npy)

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
            seeds = range(int(first), int(first) + min(int(number), MAX_GRID))
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
            image, _ = self.picture(begin, end, min(t, 1), self._model.lod, class_id)
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
            image, _ = self.picture(seed, seed, 0, max_lod - min(steps, max_lod), class_id)
            return _enlarged(image, DISPLAY_SIDE)

        inputs = [seed, steps, class_id]
        self._react(show, inputs, picture, [seed.change, steps.change, class_id.change])

    def _react(
        self, show: Callable[..., Any], inputs: list[Any], outputs: Any, events: Sequence[Any]
    ) -> None:
        """Calls `show` once when the page loads, then on every event."""

        def checked(*values: Any) -> Any:
            if not all(map(_is_natural, values)):
                raise self._gr.Error(
                    f"A seed is a number from 0 to {MAX_SEED}.", print_exception=False
                )
            self._shown.trim()
            return show(*values)

        for event in (self._gr.context.Context.root_block.load, *events):
            event(checked, inputs, outputs, **LIVE)

    def _seed(self, label: str, value: int, elem_id: str) -> Any:
        return self._gr.Number(
            value, label=label, precision=0, minimum=0, maximum=MAX_SEED, elem_id=elem_id
        )

    def _class(self) -> Any:
        """Adds a menu of the classes, by name; hidden without labels."""
        size = self._model.label_size
        if size > MAX_MENU:
            limits = {"precision": 0, "minimum": 0, "maximum": size - 1}
            return self._gr.Number(0, label=f"Class, 0 to {size - 1}", **limits)
        names = [printable(name)[:MAX_NAME] for name in self._model.label_names[:size]]
        names += [str(i) for i in range(len(names), max(size, 1))]
        choices = [(name, i) for i, name in enumerate(names)]
        return self._gr.Dropdown(choices, value=0, label="Class", visible=size > 1)

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


def _plain(text: str) -> str:
    """Escapes what Markdown would take for more than text, such as a picture from elsewhere."""
    return re.sub(r"([^\w\s])", r"\\\1", text)


def _is_natural(value: Any) -> bool:
    """True for a finite number in the range of seeds, which is larger than all others."""
    return isinstance(value, (int, float)) and math.isfinite(value) and 0 <= value <= MAX_SEED


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
