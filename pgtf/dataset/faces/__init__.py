"""Aligned faces from anybody's photographs, in the way CelebA-HQ was made; docs/faces.md."""

from pgtf.dataset.faces.builder import Built, FaceOptions, create

__all__ = ["Built", "FaceOptions", "create"]
