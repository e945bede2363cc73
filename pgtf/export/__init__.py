"""Turns a trained generator into pictures, films, pages and SavedModels."""

from typing import TYPE_CHECKING

from pgtf import lazy

if TYPE_CHECKING:
    from pgtf.export.export import export_generator
    from pgtf.export.model_card import sha256
    from pgtf.export.signatures import Facts

__all__ = ["Facts", "export_generator", "sha256"]
# Flags are checked by modules of this package that need no TensorFlow.
__getattr__ = lazy.names_in(
    "pgtf.export",
    {
        "Facts": "pgtf.export.signatures",
        "export_generator": "pgtf.export.export",
        "sha256": "pgtf.export.model_card",
    },
)
