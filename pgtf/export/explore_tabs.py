"""The tabs of the page of `explore`, and the checks of what its fields send."""

from __future__ import annotations

import html
import inspect
import math
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from pgtf.export import film, recipe, shown_files
from pgtf.export.directions import edit
from pgtf.export.explorable import LiveModel, Model, choice_names, latents_of
from pgtf.export.history import History
from pgtf.export.markdown import plain
from pgtf.export.samples import MAX_SEED
from pgtf.export.walk import interpolate
from pgtf.foreign.terminal import one_line, printable

DISPLAY_SIDE = 384  # pixels; smaller images are shown enlarged, and downloaded as they are
CELL_SIDE = 128
MAX_GRID = 36
MAX_SLIDERS = 20  # directions
MAX_MENU = 1000  # classes in a menu; more are chosen by number
MAX_NAME = 80  # characters of the name of a class
MAX_TEXT = 400  # characters of an error
MAX_RANDOM = 2**32 - 1  # seeds that `Random seed` chooses from, short enough to note down
LIVE = {"trigger_mode": "always_last", "show_progress": "hidden"}  # options of slider events
STALE = (
    "These are the weights of one snapshot. The layers that turn coarser levels into colours were "
    "last trained when the network had that size, so the colours here are not those of that time. "
    "For a run with several snapshots (--config.training.network_snapshot_ticks) this tab shows "
    "the network as it was."
)
UNTRAINED = " Levels finer than the network's have not been trained yet."

Check = Callable[[Any], Any]  # what a field sends -> value; None to wait, ValueError to refuse


class Tabs:
    """The tabs and their contents."""

    def __init__(self, gr: Any, model: Model, shown: shown_files.ShownFiles) -> None:
        self._gr, self._model, self._shown = gr, model, shown
        self._checks: dict[Any, Check] = {}

    def add_one(self) -> None:
        """Adds one image, chosen by its seed."""
        gr = self._gr
        with gr.Row(elem_classes="pair"):
            picture = self._image(elem_id="one")
            with gr.Column(scale=1, min_width=240):
                seed = self._seed("Seed", 0, "seed")
                with gr.Row():
                    previous = gr.Button("Previous", min_width=80, elem_id="previous")
                    following = gr.Button("Next", min_width=80, elem_id="next")
                another = gr.Button("Random seed", variant="primary", elem_id="another")
                class_id = self._class()
                sliders = self._directions()
                png = gr.DownloadButton("Download PNG", elem_id="png")
                latent = gr.DownloadButton("Download latent", elem_id="latent")

        def show(seed: int, class_id: int, *angles: float) -> tuple[Any, str, str]:
            latents = latents_of(self._model, [seed])
            if any(angles):
                vectors = list(self._model.vectors.values())[: len(angles)]
                latents = edit(latents, np.stack(vectors), [angles])
            image = self._model.generate(latents, class_id, self._model.lod)[0]
            png = self._shown.download(f"seed{seed:04d}.png")
            npy = self._shown.download(f"seed{seed:04d}-latent.npy")
            png.write_bytes(recipe.png_bytes(image, self._model.mark(seed, class_id, angles)))
            np.save(npy, latents)
            return self._shown_as(image, f"image of seed {seed}"), str(png), str(npy)

        self._react(show, [seed, class_id, *sliders], [picture, png, latent])
        step: dict[str, Any] = {"outputs": seed, "show_progress": "hidden"}
        previous.click(lambda text: str(max(closest_seed(text) - 1, 0)), seed, **step)
        following.click(lambda text: str(min(closest_seed(text) + 1, MAX_SEED)), seed, **step)
        another.click(lambda: str(random.randint(0, MAX_RANDOM)), **step)

    def add_grid(self) -> None:
        """Adds the images of successive seeds."""
        gr = self._gr
        with gr.Row():
            first = self._seed("First seed", 0, "first")
            number = self._slider(4, MAX_GRID, 12, step=4, label="Images", elem_id="number")
            class_id = self._class()
        cells = gr.Gallery(
            columns=4, height="auto", show_label=False, format="png", elem_id="cells",
            elem_classes="cells", object_fit="contain", buttons=[], label="Images",
        )  # fmt: skip

        def show(first: int, number: float, class_id: int) -> list[tuple[np.ndarray, str]]:
            first = min(first, MAX_SEED + 1 - int(number))
            seeds = range(first, first + int(number))
            latents = latents_of(self._model, seeds)
            fakes = self._model.generate(latents, class_id, self._model.lod)
            pairs = zip(fakes, seeds, strict=True)
            return [(_enlarged(image, CELL_SIDE), f"seed {seed}") for image, seed in pairs]

        self._react(show, [first, number, class_id], cells)

    def add_between(self) -> None:
        """Adds the arc between two seeds."""
        gr = self._gr
        with gr.Row(elem_classes="pair"):
            picture = self._image(elem_id="between")
            with gr.Column(scale=1, min_width=240):
                begin = self._seed("From seed", 0, "begin")
                end = self._seed("To seed", 1, "end")
                t = self._slider(0, 1, 0.5, step=0.01, label="Position on the arc", elem_id="t")
                class_id = self._class()

        def show(begin: int, end: int, t: float, class_id: int) -> Any:
            image, _ = self._picture(begin, end, t, self._model.lod, class_id)
            return self._shown_as(image, f"image between seeds {begin} and {end}, at {t:g}")

        self._react(show, [begin, end, t, class_id], picture)

    def add_growing(self, model: LiveModel) -> None:
        """Adds one image at any level of detail of the network as it is."""
        gr, max_lod = self._gr, model.max_lod
        with gr.Row(elem_classes="pair"):
            picture = self._image(elem_id="growing")
            with gr.Column(scale=1, min_width=240):
                seed = self._seed("Seed", 0, "grown")
                # The slider counts opposite to lod, so that the image grows from left to right.
                steps = self._slider(
                    0,
                    max_lod,
                    max_lod - self._model.lod,
                    step=0.05,
                    label="Growth",
                    info=f"0 = {model.size_text(0)}, {max_lod} = "
                    f"{model.size_text(max_lod)}; between them the next resolution fades in",
                    elem_id="growth",
                )
                class_id = self._class()
                gr.Markdown(STALE + (UNTRAINED if self._model.lod > 0 else ""), elem_id="note")

        def show(seed: int, steps: float, class_id: int) -> Any:
            image, _ = self._picture(seed, seed, 0, max_lod - steps, class_id)
            return self._shown_as(image, f"image of seed {seed} at growth {steps:g}")

        self._react(show, [seed, steps, class_id], picture)

    def add_history(self, model: LiveModel, history: History) -> None:
        """Adds one image of the network as it was at each snapshot."""
        gr = self._gr
        with gr.Row(elem_classes="pair"):
            picture = self._image(elem_id="growing")
            with gr.Column(scale=1, min_width=240):
                seed = self._seed("Seed", 0, "grown")
                number = self._slider(
                    1,
                    len(history),
                    history.start + 1,
                    step=1,
                    label="Snapshot",
                    info=f"1 = after {history.kimg(0)} kimg, {len(history)} = after "
                    f"{history.kimg(-1)} kimg",
                    elem_id="growth",
                )
                class_id = self._class()
                caption = gr.Markdown(elem_id="moment")

        def show(seed: int, number: float, class_id: int) -> tuple[Any, str]:
            latents = latents_of(model, [seed])
            found, text = model.generate_at(round(number) - 1, latents, class_id)
            return self._shown_as(found[0], f"image of seed {seed} after {text}"), plain(text)

        self._react(show, [seed, number, class_id], [picture, caption])

    def _picture(
        self, begin: int, end: int, t: float, lod: float, class_id: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Generates the image between two seeds. Returns it, [H, W, C], and its latents [1, L]."""
        ends = latents_of(self._model, [begin, end])
        latents = ends[:1] if begin == end else interpolate(ends[:1], ends[1:], [t]).numpy()
        return self._model.generate(latents, class_id, lod)[0], latents

    def _react(self, show: Callable[..., Any], inputs: list[Any], outputs: Any) -> None:
        """Calls `show` once when the page loads, then whenever an input changes."""
        gr = self._gr
        checks = [self._checks[component] for component in inputs]

        def checked(*values: Any) -> Any:
            try:
                found = [check(value) for check, value in zip(checks, values, strict=True)]
                if None in found:
                    return gr.skip()
                self._shown.trim()
                return show(*found)
            except (ValueError, OSError) as error:
                # gradio takes the text for HTML.
                text = html.escape(one_line(error)[:MAX_TEXT])
                raise gr.Error(text, print_exception=False) from None

        changes = [component.change for component in inputs]
        for event in (gr.context.Context.root_block.load, *changes):
            event(checked, inputs, outputs, **LIVE)

    def _seed(self, label: str, value: int, elem_id: str) -> Any:
        """Adds a field for a seed, as text: a browser's numbers end at 2^53."""
        gr = self._gr
        field = gr.Textbox(str(value), label=label, max_lines=1, elem_id=elem_id)

        def mend(text: Any) -> Any:
            """Puts the closest seed into a field that was left with something else in it."""
            if seed_of(text) is not None:
                return gr.skip()
            seed = closest_seed(text)
            gr.Warning(f"A seed is a whole number from 0 to {MAX_SEED}. Shown: {seed}.", title="")
            return str(seed)

        for event in (field.submit, field.blur):
            event(mend, field, field, show_progress="hidden")
        return self._checked(field, seed_of)

    def _slider(self, low: float, high: float, value: float, **options: Any) -> Any:
        slider = self._gr.Slider(low, high, value, **options)
        return self._checked(slider, lambda value: min(max(_number(value), low), high))

    def _directions(self) -> list[Any]:
        """Adds a slider for each direction, in radians."""
        names = [printable(name)[:MAX_NAME] for name in list(self._model.vectors)[:MAX_SLIDERS]]
        return [
            self._slider(-1, 1, 0, step=0.01, label=name, elem_id=f"direction{i}")
            for i, name in enumerate(names)
        ]

    def _class(self) -> Any:
        """Adds a menu of the classes, by name; hidden without labels."""
        size = max(len(self._model.choices), 1)
        if size > MAX_MENU:
            limits = {"precision": 0, "minimum": 0, "maximum": size - 1}
            field = self._gr.Number(0, label=f"Class, 0 to {size - 1}", **limits)
        else:
            names = [printable(name)[:MAX_NAME] for name in choice_names(self._model)[:size]]
            names += [str(i) for i in range(len(names), size)]
            choices = [(name, i) for i, name in enumerate(names)]
            field = self._gr.Dropdown(choices, value=0, label="Class", visible=size > 1)

        def check(value: Any) -> int:
            if not 0 <= _number(value) < size:
                raise ValueError(f"A class is a number from 0 to {size - 1}.")
            return int(value)

        return self._checked(field, check)

    def _checked(self, component: Any, check: Check) -> Any:
        """Replaces gradio's check of a component, which prints a traceback, by ours."""
        component.preprocess = lambda payload: payload
        self._checks[component] = check
        return component

    def _image(self, **options: Any) -> Any:
        return self._gr.Image(
            format="png",
            interactive=False,
            show_label=False,
            buttons=["fullscreen"],
            elem_classes="picture",
            scale=2,
            **options,
        )

    def _shown_as(self, image: np.ndarray, text: str) -> Any:
        """Makes the new value of a picture, with its text for screen readers."""
        enlarged = _enlarged(image, DISPLAY_SIDE)
        if "alt_text" not in inspect.signature(self._gr.Image).parameters:  # an early gradio 6
            return enlarged
        return self._gr.update(value=enlarged, alt_text=text)


def seed_of(value: Any) -> int | None:
    """Reads a seed as its field sends it; None if it is not one, or not complete yet."""
    text = str(value).strip() if isinstance(value, (str, int)) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def closest_seed(value: Any) -> int:
    """Returns the seed that a person may have meant: "-5" -> 5, "1.5" -> 1, "x" -> 0."""
    match = re.search(r"[0-9]+", str(value)[:MAX_TEXT])
    return min(int(match[0]), MAX_SEED) if match else 0


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("This field needs a number.")
    return value


def _enlarged(image: np.ndarray, side: int) -> np.ndarray:
    """Repeats pixels up to about `side`, and gives gray images three channels."""
    return film.to_rgb(film.zoomed(image, max(side // image.shape[0], 1)))
