"""Outlines of masks on pixel edges, and islands joined into one."""
import cv2
import numpy as np
from scipy.spatial import cKDTree

STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # right, down, left, up
LEFT_AHEAD = ((0, -1), (0, 0), (-1, 0), (-1, -1))  # the pixel ahead on the left of each step, from the corner
RIGHT_AHEAD = ((0, 0), (-1, 0), (-1, -1), (0, -1))


def ring_around(mask):
    """The corners of the outer border of the island that holds the mask's first pixel, clockwise on screen, as [n, 2].

    Pixels that touch at a corner belong together, so the ring may pass a point twice, never cross itself.
    """
    inside = np.pad(mask, 1)  # the border need not be asked for
    y, x = (int(i) for i in divmod(int(inside.argmax()), inside.shape[1]))
    start, direction, ring = (x, y), 0, []
    rows = inside.tolist()
    while True:
        left, right = LEFT_AHEAD[direction], RIGHT_AHEAD[direction]
        if rows[y + left[1]][x + left[0]]:
            turned = (direction + 3) % 4
        elif rows[y + right[1]][x + right[0]]:
            turned = direction
        else:
            turned = (direction + 1) % 4
        if turned != direction:
            ring.append((x - 1, y - 1))
        direction = turned
        x, y = x + STEPS[direction][0], y + STEPS[direction][1]
        if (x, y) == start and direction == 3:  # it is always left to the right and reached from below
            ring.append((x - 1, y - 1))
            return np.array(ring[-1:] + ring[:-1], float)


def rings(mask):
    """The outer border of each 8-connected island, holes filled."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = []
    for number in range(1, count):
        x, y, width, height = stats[number, :4]
        part = labels[y : y + height, x : x + width] == number
        found.append(ring_around(part) + (x, y))
    return found


def bridged(sprite):
    """The sprite's mask with its islands joined by lines of one pixel, along the shortest tree from the largest on."""
    mask, labels = sprite.opaque.copy(), sprite.islands
    eroded = cv2.erode(np.pad(mask, 1).astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1]
    border = mask & (eroded == 0)
    points = {n: np.argwhere(border & (labels == n)) for n in range(1, len(sprite.island_px))}
    joined = int(sprite.island_px.argmax())
    nearest = {}  # of each island still apart: distance, and the two pixels
    newest = points.pop(joined)
    while points:
        tree = cKDTree(newest)
        for number, pixels in points.items():
            distances, index = tree.query(pixels)
            best = int(distances.argmin())
            if number not in nearest or distances[best] < nearest[number][0]:
                nearest[number] = (distances[best], pixels[best], newest[index[best]])
        number = min(points, key=lambda n: (nearest[n][0], n))
        _, here, there = nearest.pop(number)
        newest = points.pop(number)
        line = np.zeros(mask.shape, np.uint8)
        cv2.line(line, here[::-1].tolist(), there[::-1].tolist(), 1)
        mask |= line.astype(bool)
    return mask
