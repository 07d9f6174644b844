"""Colours as hue, lightness and saturation, in bytes as OpenCV has them: hue in steps of two degrees up to 180.

With v and u the largest and the smallest of red, green and blue in [0, 1]: lightness is (v + u) / 2, saturation
(v - u) / (1 - |2 lightness - 1|), and the hue grows linearly between red (0), green (120) and blue (240 degrees).
"""

from __future__ import annotations

import torch

__all__ = ["from_hls", "shifted", "to_hls"]

# What stands for all degrees, and for a lightness and a saturation of one.
LIMITS = (180, 255, 255)
SMALLEST = 1e-7


def to_hls(image: torch.Tensor) -> torch.Tensor:
    """uint8 (..., 3) of red, green, blue to uint8 of hue, lightness, saturation."""
    colors = image.float() / 255
    red, green, blue = colors.unbind(-1)
    most, least = colors.amax(-1), colors.amin(-1)
    spread, total = most - least, most + least
    grey = spread < SMALLEST
    saturation = torch.where(grey, 0.0, spread / torch.where(total < 1, total, 2 - total))
    sixth = 60 / torch.where(grey, 1.0, spread)
    degrees = torch.where(
        most == red,
        (green - blue) * sixth,
        torch.where(most == green, (blue - red) * sixth + 120, (red - green) * sixth + 240),
    )
    hue = torch.where(grey, 0.0, degrees % 360 / 2)
    return torch.stack([hue, total / 2 * 255, saturation * 255], -1).round_().to(torch.uint8)


def from_hls(image: torch.Tensor) -> torch.Tensor:
    """The inverse of :func:`to_hls`, but for rounding."""
    hue, lightness, saturation = image.float().unbind(-1)
    lightness = lightness / 255
    chroma = saturation / 255 * (1 - (lightness * 2 - 1).abs()) / 2
    # Each colour is at its most up to one sixth of the circle away from its own hue, and at its least from two on.
    away = hue[..., None] / 30 - torch.tensor([0.0, 2.0, 4.0])
    away = torch.minimum(away % 6, -away % 6)
    colors = lightness[..., None] + chroma[..., None] * (3 - 2 * away).clamp(-1, 1)
    return (colors * 255).round_().clamp_(0, 255).to(torch.uint8)


def shifted(image: torch.Tensor, hue: int, lightness: int, saturation: int) -> torch.Tensor:
    """uint8 (..., 3) of red, green, blue with something added to each; what leaves its range stays at its limit."""
    moved = to_hls(image).int() + torch.tensor([hue, lightness, saturation])
    return from_hls(torch.minimum(moved.clamp(min=0), torch.tensor(LIMITS)).to(torch.uint8))
