"""The exponential moving average Gs of G's weights. Paper, App. A.1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from pgtf.networks import Generator

Variables = Mapping[str, tf.Variable]  # by name


def moving_variables(G: Generator, Gs: Generator, resolution_log2: int) -> list[str]:
    """Names of the variables of Gs that move while G trains at one resolution.

    The original moves all of them. Those that G does not train and that equal Gs's stay where they
    are, so they are left out: finer levels, unless `--resume_pkl` brought different ones.
    """
    trained, averages = G.variables_at(resolution_log2), Gs.variables_by_name
    return [
        name
        for name, source in G.variables_by_name.items()
        if name in trained or not np.array_equal(_values(source), _values(averages[name]))
    ]


def _values(variable: tf.Variable) -> np.ndarray:
    return np.asarray(tf.convert_to_tensor(variable))  # .numpy() would copy


def update_moving_average(averages: Variables, sources: Variables, decay: float) -> None:
    """Moves averages towards sources, in replica context: Gs = G + (Gs - G) * decay.

    The original runs this together with the update of D, so Gs sees G one iteration late.
    """
    for name, source in sources.items():
        lag = averages[name].read_value() - source.read_value()
        # Subtract in place: an assigned tensor would replace the memory that the average has.
        tf.raw_ops.AssignSubVariableOp(resource=averages[name].handle, value=lag * (1 - decay))
