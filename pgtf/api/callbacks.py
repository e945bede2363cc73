"""Callbacks of `pgtf.train`: what a user wants to happen at the end of every tick."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pgtf.training.ticks import Tick

if TYPE_CHECKING:
    from pgtf.networks import Discriminator, Generator
    from pgtf.training.state import TrainingState


@runtime_checkable
class HasOnTick(Protocol):
    """Anything with a method that is called at the end of each tick."""

    def on_tick(self, stats: Tick) -> Any:
        """Is called after pictures and snapshots of the tick were written.

        Args:
            stats: what stats.jsonl says of the tick: `stats.tick`, `stats.kimg`,
                `stats.resolution`, `stats.lod`, `stats.statistics["G_loss"]`, ...
        """


class Callback:
    """Base class of callbacks; override `on_tick`.

    Attributes:
        G, D, Gs: networks in training, at the end of the present tick. To generate images of them
            is safe; to change them is not.
        final: True in the last tick.
    """

    G: Generator
    D: Discriminator
    Gs: Generator
    final: bool = False

    def on_tick(self, stats: Tick) -> None:
        """Does nothing. See `HasOnTick`."""

    def stop(self) -> None:
        """Ends training after the present tick, with a checkpoint, as Ctrl-C would."""
        signal.raise_signal(signal.SIGINT)


Given = HasOnTick | Callable[[Tick], Any]


def for_loop(callback: Given) -> Callable[[Tick, TrainingState, bool], None]:
    """Makes a callback of the training loop of what the user gave: an object, or a function.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(callback, type) or not (isinstance(callback, HasOnTick) or callable(callback)):
        raise ValueError(
            "`callbacks` must be functions of the statistics of a tick, or objects with `on_tick`. "
            f"Received: {callback!r}."
        )
    on_tick = callback.on_tick if isinstance(callback, HasOnTick) else callback

    def at_tick(tick: Tick, state: TrainingState, final: bool) -> None:
        if isinstance(callback, Callback):
            callback.G, callback.D, callback.Gs = state.G, state.D, state.Gs
            callback.final = final
        on_tick(tick)
        sys.stdout.flush()

    return at_tick
