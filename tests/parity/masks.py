"""Random masks that Rust makes bit for bit alike (`mod masks` in tests/parity.rs), so that a seed stands for a mask.

Everything is integer arithmetic on one SplitMix64 stream (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
Generators, 2014). `seed % 8` picks the kind, so that any run of seeds has all of them; what each kind provokes:

    0 noise       pixels on or off: components that touch by corners, one-pixel holes, outlines that cross themselves
    1 levels      any alpha value: both thresholds and the blur's rounding
    2 blobs       blurred noise with soft or hard edges: what sprites look like, and ties between components
    3 checkers    corners only, with some flips: every pixel a corner of the border
    4 spiral      one long arm, one or two px wide: outlines that run back along themselves
    5 lines       thin lines: contours without an area, collinear runs
    6 rectangles  set and cleared: holes, components inside holes, equal areas, masks that fill the canvas
    7 ragged      a disc with a frayed edge: hair, and pinches after simplification
"""
import numpy as np

MASK64 = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15
KINDS = 8


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def next(self):
        return int(self.block(1)[0])

    def below(self, n):
        """0..n; the modulo's bias is part of the definition."""
        return self.next() % n

    def block(self, count):
        """The next `count` numbers. SplitMix64 counts its state up, so numpy can make them all at once."""
        z = np.uint64(self.state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GAMMA)
        self.state = (self.state + count * GAMMA) & MASK64
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

    def plane(self, width, height):
        """The top byte of the next numbers, row by row."""
        return (self.block(width * height) >> np.uint64(56)).astype(np.int64).reshape(height, width)


def mask(seed):
    """The alpha plane of a seed, (height, width) uint8, 1 x 1 to 96 x 96."""
    r = SplitMix64(seed)
    largest = 12 if r.below(6) == 0 else 96
    width, height = 1 + r.below(largest), 1 + r.below(largest)
    paint = (noise, levels, blobs, checkers, spiral, lines, rectangles, ragged)[seed % KINDS]
    with np.errstate(over="ignore"):
        return paint(r, width, height).astype(np.uint8)


def noise(r, width, height):
    density = (16, 64, 112, 128, 144, 192, 224, 250)[r.below(8)]
    return np.where(r.plane(width, height) < density, 255, 0)


def levels(r, width, height):
    return r.plane(width, height)


def blobs(r, width, height):
    radius, soft = 1 + r.below(4), r.below(2)
    mean = box_mean(r.plane(width, height), radius)
    return np.clip((mean - 128) * 8 + 128, 0, 255) if soft else np.where(mean > 127, 255, 0)


def box_mean(plane, radius):
    """Mean of the window's part inside the plane, rounded down."""
    height, width = plane.shape
    total = np.zeros((height + 1, width + 1), np.int64)
    total[1:, 1:] = plane.cumsum(0).cumsum(1)
    y0, y1 = np.clip(np.arange(height) - radius, 0, height), np.clip(np.arange(height) + radius + 1, 0, height)
    x0, x1 = np.clip(np.arange(width) - radius, 0, width), np.clip(np.arange(width) + radius + 1, 0, width)
    window = total[y1][:, x1] - total[y1][:, x0] - total[y0][:, x1] + total[y0][:, x0]
    return window // ((y1 - y0)[:, None] * (x1 - x0)[None, :])


def checkers(r, width, height):
    cell, phase, flips = 1 + r.below(4), r.below(2), r.below(20)
    y, x = np.mgrid[0:height, 0:width]
    plane = np.where((x // cell + y // cell + phase) % 2 == 0, 255, 0)
    for _ in range(flips):
        at_x, at_y = r.below(width), r.below(height)
        plane[at_y, at_x] = 255 - plane[at_y, at_x]
    return plane


def spiral(r, width, height):
    gap, thickness = 2 + r.below(4), 1 + r.below(2)
    plane = np.zeros((height, width), np.int64)
    x, y, dx, dy = width // 2, height // 2, 1, 0
    for arm in range(2 * max(width, height) // gap + 4):
        for _ in range((arm // 2 + 1) * gap):
            dot(plane, x, y, thickness)
            x, y = x + dx, y + dy
        dx, dy = -dy, dx
    return plane


def lines(r, width, height):
    plane = np.zeros((height, width), np.int64)
    thickness = 1 + r.below(2)
    for _ in range(1 + r.below(12)):
        x0, y0, x1, y1 = r.below(width), r.below(height), r.below(width), r.below(height)
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for i in range(steps + 1):
            dot(plane, x0 + nearest(i * (x1 - x0), steps), y0 + nearest(i * (y1 - y0), steps), thickness)
    return plane


def nearest(numerator, denominator):
    """The quotient, rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)


def dot(plane, x, y, size):
    """A square of `size` px whose top left corner is (x, y), as far as it lies inside."""
    plane[max(y, 0):max(y + size, 0), max(x, 0):max(x + size, 0)] = 255


def rectangles(r, width, height):
    plane = np.zeros((height, width), np.int64)
    for _ in range(1 + r.below(16)):
        x0, y0 = r.below(width), r.below(height)
        x1, y1 = x0 + 1 + r.below(width), y0 + 1 + r.below(height)
        value = (255, 255, 255, 0, 0, 100, 200, 9)[r.below(8)]
        plane[y0:y1, x0:x1] = value
    return plane


def ragged(r, width, height):
    """Inside where the squared distance is under a noisy share of the radius squared, in 1/256."""
    fray = 1 + r.below(200)
    share = 256 - r.plane(width, height) * fray // 256
    y, x = np.mgrid[0:height, 0:width]
    distance = (2 * x + 1 - width) ** 2 + (2 * y + 1 - height) ** 2
    radius = min(width, height)
    return np.where(distance * 256 < radius * radius * share, 255, 0)
