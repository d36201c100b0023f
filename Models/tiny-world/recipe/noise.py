"""Smooth random patterns that are the same for ever: what grounds, clouds and papers are made of."""

import torch

PERIOD = 64
LATTICE = torch.rand(PERIOD, PERIOD, generator=torch.Generator().manual_seed(7))


def noise(x, y):
    """Value noise: random numbers from 0 to 1 at whole coordinates, smoothly joined between them (Hermite's 3t² - 2t³); mean 0.5."""
    column, row = x.floor(), y.floor()
    across, down = x - column, y - row
    across, down = across * across * (3 - 2 * across), down * down * (3 - 2 * down)
    column, row = column.long() % PERIOD, row.long() % PERIOD
    right, below = (column + 1) % PERIOD, (row + 1) % PERIOD
    upper = torch.lerp(LATTICE[row, column], LATTICE[row, right], across)
    lower = torch.lerp(LATTICE[below, column], LATTICE[below, right], across)
    return torch.lerp(upper, lower, down)


def smoothstep(low, high, value):
    """0 below `low`, 1 above `high`, smooth between."""
    share = ((value - low) / (high - low)).clamp(0, 1)
    return share * share * (3 - 2 * share)
