"""SavedModels, written without TensorFlow's notes, which interactive Pythons show as output."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf


def save(module: Any, folder: str | os.PathLike[str], signatures: Mapping[str, Any]) -> None:
    """Writes a SavedModel. Warnings are shown, notes are not."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        tf.saved_model.save(module, os.fspath(folder), signatures)
    finally:
        logger.setLevel(level)
