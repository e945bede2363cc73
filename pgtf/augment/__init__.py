"""Augmentation of what D sees, for small datasets. Karras et al. 2020; Zhao et al. 2020."""

from pgtf.augment.config import AugmentConfig

__all__ = ["AugmentConfig"]
