"""Polygons and pixels: which pixels a mesh covers, and how well that fits a sprite.

A pixel (i, j) is the square from (i, j) to (i + 1, j + 1), and a mesh's if its centre lies inside, a centre on a left or
upper edge included: the definitions of `spinelift score`, written again so that neither is its own judge.
"""
import numpy as np


def crossings(a, b, height):
    """Where edges from a to b ([n, 2] each) meet the rows' middles: row and x of each crossing."""
    upward = a[:, 1] > b[:, 1]
    top, bottom = np.where(upward[:, None], b, a), np.where(upward[:, None], a, b)
    first = np.clip(np.ceil(top[:, 1] - 0.5), 0, height).astype(int)
    count = np.clip(np.ceil(bottom[:, 1] - 0.5), 0, height).astype(int) - first
    edge = np.repeat(np.arange(len(a)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    top, bottom = top[edge], bottom[edge]
    share = (row + 0.5 - top[:, 1]) / (bottom[:, 1] - top[:, 1])
    return edge, row, top[:, 0] + (bottom[:, 0] - top[:, 0]) * share


def columns(x, width):
    """The first pixel of a row whose middle is not left of x."""
    return np.clip(np.ceil(x - 0.5), 0, width).astype(int)


def fill_rings(rings, shape):
    """The pixels inside an odd number of the rings, which are lists of [x, y]."""
    height, width = shape
    rings = [np.asarray(ring, float) for ring in rings if len(ring) >= 3]
    if not rings:
        return np.zeros(shape, bool)
    a, b = np.concatenate(rings), np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    _, row, x = crossings(a, b, height)
    flips = np.bincount(row * (width + 1) + columns(x, width), minlength=height * (width + 1))
    return (np.cumsum(flips.reshape(height, width + 1), axis=1)[:, :width] & 1).astype(bool)


def fill_triangles(vertices, triangles, shape):
    """The pixels in any of the triangles."""
    height, width = shape
    corners = np.asarray(vertices, float).reshape(-1, 2)[np.asarray(triangles, int).reshape(-1, 3)]
    if not len(corners):
        return np.zeros(shape, bool)
    edge, row, x = crossings(corners.reshape(-1, 2), np.roll(corners, -1, axis=1).reshape(-1, 2), height)
    # Two crossings a triangle and row: its span begins at the left one and ends at the right one.
    order = np.lexsort((x, row, edge // 3))
    row, column = row[order], columns(x[order], width)
    at, sign = row * (width + 1) + column, np.tile([1, -1], len(order) // 2)
    depth = np.bincount(at, weights=sign, minlength=height * (width + 1)).reshape(height, width + 1)
    return np.cumsum(depth, axis=1)[:, :width] > 0.5


def fit(sprite, covered):
    """How well a mask of covered pixels fits a sprite."""
    opaque_px, both = int(sprite.opaque.sum()), int((sprite.opaque & covered).sum())
    either = opaque_px + int(covered.sum()) - both
    large = sprite.large_islands
    inside = np.bincount(sprite.islands[covered], minlength=len(sprite.island_px))
    return {
        "iou": both / either,
        "coverage": both / opaque_px,
        "lost_px": opaque_px - both,
        "islands": len(large),
        "islands_lost": int((inside[large] < 0.5 * sprite.island_px[large]).sum()),
    }
