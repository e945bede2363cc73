"""A generator as a keras.Model of its own, which Keras can save and load."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from pgtf.networks import Generator
from pgtf.networks.latents import of_any_scale


@keras.saving.register_keras_serializable(package="pgtf")
class AnyScale(keras.layers.Layer):
    """Rescales latents and labels of extreme length: [N, L] each -> same; see `of_any_scale`."""

    def __init__(self, epsilon: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, rows: list[tf.Tensor]) -> list[tf.Tensor]:
        return of_any_scale(rows, self.epsilon)

    def compute_output_shape(self, input_shape: list[Any]) -> list[Any]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="pgtf")
class Alpha(keras.layers.Layer):
    """Returns the weight of the newest resolution, a scalar, whatever the latents are."""

    def __init__(self, value: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value = value

    def call(self, latents: tf.Tensor) -> tf.Tensor:
        return tf.constant(self.value, tf.float32)

    def compute_output_shape(self, input_shape: Any) -> tuple[()]:
        return ()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "value": self.value}


def keras_model(Gs: Generator) -> keras.Model:
    """Wires Gs at its own lod: latents [N, L] (, labels [N, label_size]) -> images [N, R, R, C].

    The images are float32 in about [-1, 1], as those of `Gs(latents, labels)`. The model shares its
    variables with Gs until it is saved and loaded.
    """
    model, alpha = Gs.model_at(Gs.lod)
    inputs = [keras.Input((Gs.latent_size,), name="latents")]
    if Gs.config.label_size:
        inputs.append(keras.Input((Gs.config.label_size,), name="labels"))
    rows = inputs
    if Gs.config.normalize_latents:
        rows = AnyScale(Gs.config.pixelnorm_epsilon, name="any_scale")(inputs)
    images = model([*rows, Alpha(float(alpha), name="alpha")(inputs[0])])
    # Keras warns of a list of one input when the model is called with an array.
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], images, name="Gs")
