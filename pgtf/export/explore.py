"""A local web page to walk through a model: seeds, grid, interpolation, growing. Needs gradio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pgtf.export import explore_style, listening, shown_files
from pgtf.export.explorable import LiveModel, Model
from pgtf.export.explore_tabs import Tabs
from pgtf.export.gate import MAX_BODY, Gate
from pgtf.export.markdown import plain
from pgtf.foreign.terminal import printable

MIN_GRADIO = 6  # the first version that takes the theme when it launches
MAX_NAME = 80  # characters of a name in the page
MAX_WAITING = 256  # events of all visitors
_T = TypeVar("_T")


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
        ValueError: if gradio is missing, the port taken, or `host` no address of this machine.
    """
    shown = shown_files.ShownFiles()  # before gradio is imported, which makes a folder in its own
    try:
        gr = _gradio()
        from starlette.middleware import Middleware

        port = listening.free_port(host, port)
        options = {
            "server_name": host,
            "server_port": port,
            "inbrowser": open_browser,
            "prevent_thread_lock": True,
            "share": False,
            "ssr_mode": False,
            "quiet": True,
            "max_file_size": MAX_BODY,
            "app_kwargs": {"middleware": [Middleware(Gate, host)]},
            "footer_links": [],
            "theme": explore_style.theme(gr),
            "css": explore_style.CSS,
        }

        def launch() -> tuple[Any, str]:
            app = build(gr, model, shown)
            app.queue(max_size=MAX_WAITING)
            return app, app.launch(**options)[1]

        app, address = _in_event_loop(launch)
    except BaseException:
        shown.remove()
        raise
    print(f"{printable(model.name)[:MAX_NAME]}: {address} (stop with Ctrl+C)", flush=True)
    if wait:
        _wait(app, shown)
    return app, address


def _in_event_loop(function: Callable[[], _T]) -> _T:
    """Calls a function while an event loop runs, which is closed afterwards.

    Without a running one, gradio makes an event loop for each of its locks, and closes none.
    """

    async def call() -> _T:
        return function()

    try:
        asyncio.get_running_loop()  # that of a notebook
    except RuntimeError:
        loop = asyncio.new_event_loop()
    else:
        return function()
    try:
        return loop.run_until_complete(call())
    finally:
        loop.close()


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
    tabs = Tabs(gr, model, shown)
    name = printable(model.name)[:MAX_NAME]
    with gr.Blocks(title=f"{name} - explore", analytics_enabled=False) as page:
        gr.Markdown(
            f"# {plain(name)}\n{plain(printable(model.kind))}. {model.latent_size} numbers make an "
            "image; a seed stands for the same numbers here, in every command and in the exported "
            "model.",
            elem_id="title",
        )
        with gr.Tab("Image"):
            tabs.add_one()
        with gr.Tab("Grid"):
            tabs.add_grid()
        with gr.Tab("Between"):
            tabs.add_between()
        if isinstance(model, LiveModel) and model.history is not None:
            with gr.Tab("Growing" if model.max_lod else "Training"):
                tabs.add_history(model, model.history)
        elif isinstance(model, LiveModel) and model.max_lod:  # A 4x4 network has one level.
            with gr.Tab("Growing"):
                tabs.add_growing(model)
    return page


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
