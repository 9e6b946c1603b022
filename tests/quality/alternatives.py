"""Other ways to an outline with few vertices. Each gives candidates from fine to coarse; `compare.py` picks for a budget.

A candidate is (setting, rings): what was asked of the method, and its polygons as lists of [x, y] in px, origin at the
image's upper left corner. These are our own short versions, made to be fair rather than equal to anybody's program.
"""
import cv2
import numpy as np
import shapely

import outlines
import raster

TOLERANCES = 80  # steps of outward Douglas-Peucker from half a pixel to a quarter of the diagonal
REPAIRS = 6  # times that edges which left out a pixel are pushed half a pixel further
FARTHEST_CORNER = 4  # a corner goes at most this many times as far out as its edges; beyond it is cut

GODOT_GROWTHS_PX = (0, 1, 2, 4)  # the editor suggests 2
GODOT_SIMPLIFICATIONS_PX = (0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 26, 34, 44, 60, 90)  # the editor suggests 2


def outward_douglas_peucker(sprite):
    """Islands are joined by bridges of a pixel; the outline is simplified; each edge is pushed out over what it cut off."""
    ring = outlines.ring_around(outlines.bridged(sprite))
    height, width = sprite.opaque.shape
    canvas = shapely.box(0, 0, width, height)
    # From a corner of the hull, which no tolerance should drop.
    ring = np.roll(ring, -int((ring @ (1, 1e-6)).argmin()), axis=0)
    line = shapely.LineString(np.concatenate([ring, ring[:1]]))
    for tolerance in np.geomspace(0.5, np.hypot(width, height) / 4, TOLERANCES):
        kept = places_of(shapely.get_coordinates(line.simplify(tolerance, preserve_topology=False))[:-1], ring)
        if len(kept) >= 3:
            yield f"tolerance {tolerance:.1f} px", pushed_out(ring, kept, canvas, sprite)


def places_of(points, ring):
    """The index in the ring of each of its points, in order."""
    places, at = [], 0
    for point in points:
        while (ring[at] != point).any():
            at += 1
        places.append(at)
        at += 1
    return np.array(places, int)


def pushed_out(ring, kept, canvas, sprite):
    """The polygon of the kept points with each edge parallel to itself, as far out as the points that it stands for."""
    start = ring[kept]
    along = np.roll(start, -1, axis=0) - start
    outward = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.hypot(*along.T)[:, None]
    edge = np.searchsorted(kept, np.arange(len(ring)), side="right") - 1
    beyond = np.einsum("ij,ij->i", ring - start[edge], outward[edge])
    distance = np.zeros(len(kept))
    np.maximum.at(distance, edge, beyond)
    for repair in range(REPAIRS):
        polygon = offset(start, outward, distance + 0.5 * repair)
        whole = shapely.union_all([shapely.make_valid(polygon), shapely.make_valid(shapely.Polygon(start))])
        rings = exteriors(shapely.intersection(whole, canvas))
        if not (sprite.opaque & ~raster.fill_rings(rings, sprite.opaque.shape)).any():
            break
    return rings


def offset(start, outward, distance):
    """Corners where neighbouring edges meet after each has gone outward; a corner that would go too far is cut."""
    corners = []
    for i, point in enumerate(start):
        (a, b), (u, v) = (outward[i - 1], outward[i]), (distance[i - 1], distance[i])
        turn = a[0] * b[1] - a[1] * b[0]
        if abs(turn) > 1e-9:
            # The point at distance u from the one edge and v from the other.
            corner = point + np.array([u * b[1] - v * a[1], v * a[0] - u * b[0]]) / turn
            if np.hypot(*(corner - point)) <= FARTHEST_CORNER * max(u, v):
                corners.append(corner)
                continue
        corners.append(point + u * a)
        if (abs(u - v) > 1e-9 or (a != b).any()) and max(u, v) > 0:
            corners.append(point + v * b)
    return shapely.Polygon(corners)


def exteriors(shape):
    """The outer rings of the polygons of a shape, without points in line with their neighbours."""
    polygons = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    filled = shapely.union_all([shapely.Polygon(polygon.exterior) for polygon in polygons])
    filled = [part for part in shapely.get_parts(filled.simplify(1e-6)) if part.geom_type == "Polygon"]
    return [shapely.get_coordinates(part.exterior)[:-1] for part in filled]


def reduced_hull(sprite):
    """The convex hull of all islands; then the edge goes whose neighbours, extended until they meet, add the least area.

    Such a corner may lie outside of the image, which costs this method nothing here.
    """
    corners = np.concatenate(outlines.rings(sprite.opaque))
    hull = shapely.get_coordinates(shapely.MultiPoint(corners).convex_hull.exterior)[:-1]
    hull = list(hull if shapely.is_ccw(shapely.LinearRing(hull)) else hull[::-1])
    while len(hull) >= 3:
        yield f"{len(hull)} edges", [np.array(hull)]
        additions = [extension(*(hull[(i + k) % len(hull)] for k in range(-1, 3))) for i in range(len(hull))]
        best = min(range(len(hull)), key=lambda i: additions[i][0])
        if len(hull) == 3 or not np.isfinite(additions[best][0]):
            return
        hull[best] = additions[best][1]
        del hull[(best + 1) % len(hull)]


def extension(before, a, b, after):
    """The area added by dropping the edge from a to b, and the corner that takes its place."""
    u, v = a - before, after - b
    turn = u[0] * v[1] - u[1] * v[0]
    if turn <= 1e-12:  # the neighbours never meet
        return np.inf, a
    share = ((b - a)[0] * v[1] - (b - a)[1] * v[0]) / turn
    corner = a + share * u
    area = abs((corner - a)[0] * (b - a)[1] - (corner - a)[1] * (b - a)[0]) / 2
    return area, corner


def grown_as_in_godot(sprite):
    """Godot's Sprite2D to Polygon2D: grow the mask, trace each island, simplify, widen by as much, clip to the image."""
    height, width = sprite.opaque.shape
    canvas = shapely.box(0, 0, width, height)
    for growth in GODOT_GROWTHS_PX:
        side = np.arange(-growth, growth + 1)
        disc = (side[:, None] ** 2 + side**2 <= growth**2).astype(np.uint8)
        traced = outlines.rings(cv2.dilate(sprite.opaque.astype(np.uint8), disc).astype(bool))
        for simplification in GODOT_SIMPLIFICATIONS_PX:
            polygons = (widened(ring, simplification, canvas) for ring in traced)
            found = [polygon for polygon in polygons if polygon is not None]
            if found:
                yield f"grow {growth} px, simplification {simplification} px", found


def widened(ring, simplification, canvas):
    """The simplified ring, its edges moved outward by the tolerance; None if nothing is left of it."""
    if len(ring) >= 9:  # smaller ones are left alone
        # From where tracing began: the first and last point are kept.
        line = shapely.LineString(np.concatenate([ring, ring[:1]]))
        ring = shapely.get_coordinates(line.simplify(simplification, preserve_topology=False))[:-1]
    if len(ring) < 3:
        return None
    wide = shapely.make_valid(shapely.Polygon(ring)).buffer(simplification, join_style="mitre", mitre_limit=2)
    rings = exteriors(shapely.intersection(wide, canvas))
    return max(rings, key=lambda ring: shapely.Polygon(ring).area, default=None)
