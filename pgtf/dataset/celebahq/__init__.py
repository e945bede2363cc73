"""CelebA-HQ, rebuilt bit for bit with NumPy and cryptography; docs/celebahq.md specifies it."""

from pgtf.dataset.celebahq.builder import Built, build

__all__ = ["Built", "build"]
