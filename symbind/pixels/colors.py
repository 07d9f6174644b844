"""Numbers about colours that augmenters share, for red, green and blue in this order."""

from __future__ import annotations

__all__ = ["IMAGENET_EIGENVALUES", "IMAGENET_EIGENVECTORS", "IMAGENET_MEAN", "IMAGENET_STD", "LUMA"]

# How much each contributes to the brightness (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)
# Mean, deviation and principal components of the colours of ImageNet, in bytes.
IMAGENET_MEAN = (123.68, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
IMAGENET_EIGENVALUES = (55.46, 4.794, 1.148)
IMAGENET_EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
