"""Adam as the original release runs it: skipped when not finite, reset when the networks grow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pgtf.interop.contents import check_fit

LOSS_SCALING_INIT = 64.0  # log2; original release
LOSS_SCALING_INC = 0.0005  # after an update
LOSS_SCALING_DEC = 1.0  # after gradients that are not finite
SCALING = "loss_scaling"  # its name in checkpoints
_RANGES = {"beta1_power": (0.0, 1.0), "beta2_power": (0.0, 1.0), SCALING: (-1e6, 1e6)}


class Adam:
    """Optimizer state of named variables, updated by TensorFlow's fused kernel. Kingma & Ba 2015.

    Not keras.optimizers.Adam: that one cannot skip a non-finite update under a strategy, nor be
    reset, and the original's products of betas are part of its numbers.

    Attributes:
        variables_by_name: the state, for checkpoints: {"m/4x4/Conv/weight": variable}.
    """

    def __init__(
        self,
        trained: Mapping[str, tf.Variable],
        beta1: float,
        beta2: float,
        epsilon: float,
        use_loss_scaling: bool = False,
    ) -> None:
        """Allocates the state inside the scope of the strategy.

        Args:
            trained: {name: variable}.
            beta1: decay of the first moment.
            beta2: decay of the second moment.
            epsilon: added to sqrt(v), which is not bias-corrected.
            use_loss_scaling: for gradients in float16; see `loss_scale`.
        """
        self._beta1, self._beta2, self._epsilon = beta1, beta2, epsilon
        self._m, self._v = _zeros_like(trained), _zeros_like(trained)
        self._beta1_power = tf.Variable(beta1, dtype=tf.float32, trainable=False)
        self._beta2_power = tf.Variable(beta2, dtype=tf.float32, trainable=False)
        self._loss_scaling = None  # log2 of the factor
        if use_loss_scaling:
            self._loss_scaling = tf.Variable(LOSS_SCALING_INIT, trainable=False)

    @property
    def variables_by_name(self) -> dict[str, tf.Variable]:
        moments = {"m": self._m, "v": self._v}
        slots = {f"{kind}/{name}": v for kind in moments for name, v in moments[kind].items()}
        slots |= {"beta1_power": self._beta1_power, "beta2_power": self._beta2_power}
        return slots if self._loss_scaling is None else slots | {SCALING: self._loss_scaling}

    def check(self, arrays: Mapping[str, Any], source: str) -> None:
        """Raises ValueError unless arrays of a checkpoint are a state of this optimizer.

        The message begins with `source` and names all arrays that are missing, unknown, misshapen,
        of another type or out of range.
        """
        shapes = {name: tuple(v.shape) for name, v in self.variables_by_name.items()}
        # A run may go on in another precision (--allow_config_change).
        known = {name: array for name, array in arrays.items() if name in shapes or name != SCALING}
        check_fit(shapes, known, "Adam", source)
        for name in shapes:
            if arrays[name].dtype != np.float32:
                raise ValueError(f"{source}: {name} must be float32, found {arrays[name].dtype}.")
        for name, (low, high) in _RANGES.items():
            if name in shapes and not low <= arrays[name] <= high:
                raise ValueError(
                    f"{source}: {name} must be in {low:g} ... {high:g}, found {arrays[name]:g}."
                )

    def loss_scale(self) -> tf.Tensor | None:
        """Factor of the loss for gradients in float16: [] float32; None without loss scaling.

        It begins at 2**64, halves when gradients overflow and grows slowly while they do not.
        Original release; Micikevicius et al. 2018.
        """
        if self._loss_scaling is None:
            return None
        return tf.pow(2.0, self._loss_scaling.read_value())

    def reset(self) -> None:
        """Zeroes moments and step count, not the loss scale: original `reset_optimizer_state`."""
        for slot in (*self._m.values(), *self._v.values()):
            slot.assign(tf.zeros_like(slot))
        self._beta1_power.assign(self._beta1)
        self._beta2_power.assign(self._beta2)

    def apply(
        self,
        variables: Mapping[str, tf.Variable],
        gradients: Mapping[str, tf.Tensor],
        lrate: tf.Tensor,
        is_compiled: bool = False,
    ) -> tf.Tensor:
        """Updates variables unless a gradient is not finite; called in replica context.

        Args:
            variables: {name: variable}, all or some of those in the state.
            gradients: {name: tensor}, already averaged over the replicas.
            lrate: [] float32, learning rate.
            is_compiled: write a form that XLA fuses; its numbers differ by round-off.

        Returns:
            [] bool: True if the update was made, or skipped only to find the right loss scale.
        """
        # A sum is not finite if a value is not. It reads each gradient once and writes nothing.
        sums = tf.stack([tf.reduce_sum(gradient) for gradient in gradients.values()])
        finite = tf.reduce_all(tf.math.is_finite(sums))
        if is_compiled:
            self._select(finite, variables, gradients, lrate)
        else:
            tf.cond(finite, lambda: self._update(variables, gradients, lrate), lambda: None)
        if self._loss_scaling is None:
            return finite
        scaling = self._loss_scaling.read_value()
        change = tf.where(finite, LOSS_SCALING_INC, -LOSS_SCALING_DEC)
        assign_local(self._loss_scaling, scaling + change)
        return finite | (scaling > 0)

    def _update(
        self,
        variables: Mapping[str, tf.Variable],
        gradients: Mapping[str, tf.Tensor],
        lrate: tf.Tensor,
    ) -> None:
        beta1_power, beta2_power = self._beta1_power.read_value(), self._beta2_power.read_value()
        for name, gradient in gradients.items():
            # Every replica updates its own copy with the same gradient. Handles avoid a merge of
            # the replicas, which is not allowed inside tf.cond.
            tf.raw_ops.ResourceApplyAdam(
                var=variables[name].handle,
                m=self._m[name].handle,
                v=self._v[name].handle,
                beta1_power=beta1_power,
                beta2_power=beta2_power,
                lr=lrate,
                beta1=self._beta1,
                beta2=self._beta2,
                epsilon=self._epsilon,
                grad=gradient,
            )
        assign_local(self._beta1_power, beta1_power * self._beta1)
        assign_local(self._beta2_power, beta2_power * self._beta2)

    def _select(
        self,
        finite: tf.Tensor,
        variables: Mapping[str, tf.Variable],
        gradients: Mapping[str, tf.Tensor],
        lrate: tf.Tensor,
    ) -> None:
        """Updates as `_update` if `finite`, without the copies of all variables of tf.cond."""
        powers = self._beta1_power.read_value(), self._beta2_power.read_value()
        step = lrate * tf.sqrt(1.0 - powers[1]) / (1.0 - powers[0])

        def assign(variable: tf.Variable, old: tf.Tensor, new: tf.Tensor) -> None:
            assign_local(variable, tf.where(finite, new, old))

        for name, gradient in gradients.items():
            state = variables[name], self._m[name], self._v[name]
            value, m, v = (variable.read_value() for variable in state)
            new_m = m + (gradient - m) * (1.0 - self._beta1)
            new_v = v + (tf.square(gradient) - v) * (1.0 - self._beta2)
            moved = value - new_m * step / (tf.sqrt(new_v) + self._epsilon)
            for variable, old, new in zip(state, (value, m, v), (moved, new_m, new_v), strict=True):
                assign(variable, old, new)
        assign(self._beta1_power, powers[0], powers[0] * self._beta1)
        assign(self._beta2_power, powers[1], powers[1] * self._beta2)


def _zeros_like(variables: Mapping[str, tf.Variable]) -> dict[str, tf.Variable]:
    # Allocate each slot now. A shared zero tensor would be copied during the first update, when
    # memory is full of activations, into chunks up to twice as large.
    return {k: tf.Variable(tf.zeros(v.shape), trainable=False) for k, v in variables.items()}


def assign_local(variable: tf.Variable, value: tf.Tensor) -> None:
    """Assigns to this replica's copy of a variable; all replicas must assign the same value."""
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
