#!/usr/bin/env python3
"""Compares a built `spinelift` with OpenCV and Triangle, live, on any images and any number of random masks.

    cargo build --release
    python3 tests/parity/live.py                                # the corpus and 1,000 masks
    python3 tests/parity/live.py --masks 20000 --first-seed 7000 ~/sprites/*.png

Needs the packages named in reference.py. Checked for every image and parameter set:
- the simplified outline (before repair), its contour point count and epsilon are the reference's;
- where the outline neither touches nor crosses itself, the triangles are Triangle's up to Delaunay ties;
- with a density, no triangle exceeds the maximum area, and the polygon's area is covered to 0.1 px2.
Exit status 1 on any difference, each of which is printed.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import cv2
import numpy as np
from PIL import Image

import masks
import reference

SAME_EPSILON = 1e-12  # relative; the last bit may get lost in JSON
COVERED_PX2 = 0.1
AREA_SLACK = 1e-6  # relative; coordinates are rounded in JSON
BATCH = 2000  # images a call: many for speed, few enough for the argument list
OK, AN_IMAGE_FAILED = 0, 3  # exit status of `spinelift mesh`
# Outlines that refinement is tried on, and densities from a few triangles to many thousand.
REFINED_SETS = ["default", "detail-0.05"]
DENSITIES = [1, 30]


class SafeTriangle:
    """Triangle in a process of its own, because it may end it; None where it does."""

    def __init__(self):
        self.pool = ProcessPoolExecutor(1)
        self.crashes = 0

    def triangles(self, points):
        try:
            return self.pool.submit(reference.triangulate, points).result()[1]
        except BrokenProcessPool:
            self.pool, self.crashes = ProcessPoolExecutor(1), self.crashes + 1
            return None


def run(binary, images, folder, output_format, parameters, jobs):
    """Meshes of the images by file stem; an image that failed is absent."""
    options = [o for name, value in parameters.items() for o in ("--set", f"{name}={value}")]
    folder.mkdir()
    for start in range(0, len(images), BATCH):
        batch = [str(path) for path in images[start:start + BATCH]]
        command = [binary, "mesh", *batch, "-o", folder, "--format", output_format, "--jobs", str(jobs), "--quiet"]
        done = subprocess.run([*command, *options], capture_output=True, text=True)
        if done.returncode not in (OK, AN_IMAGE_FAILED):
            sys.exit(f"spinelift ended with status {done.returncode} under {parameters}:\n{done.stderr[-2000:]}")
    return {path.name.split(".")[0]: path for path in folder.iterdir()}


def compare_outline(expected, ours):
    """The difference in words, or None."""
    if expected is None:
        return ours and f"expected no contour, got {len(ours['outline'])} points"
    if expected.is_degenerate():  # SpineLift halves epsilon here, on purpose
        return f"only {len(ours['outline'])} points" if ours and len(ours["outline"]) < 3 else None
    if ours is None:
        return f"no outline, expected {len(expected.points)} points"
    if ours["contour_points"] != expected.contour_points:
        return f"{ours['contour_points']} contour points, expected {expected.contour_points}"
    if abs(ours["epsilon"] - expected.epsilon) > expected.epsilon * SAME_EPSILON:
        return f"epsilon {ours['epsilon']} px, expected {expected.epsilon}"
    theirs = expected.points.tolist()
    if ours["outline"] == theirs:
        return None
    pairs = enumerate(zip(ours["outline"] + [None], theirs + [None]))
    i, (mine, other) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
    return f"point {i} is {mine}, expected {other}; {len(ours['outline'])} points, expected {len(theirs)}"


def compare_triangles(outline, expected, ours):
    """The difference in words, or None if the triangles are equal or another choice among cocircular points."""
    index = {tuple(point): i for i, point in enumerate(outline.tolist())}
    try:
        corners = [index[tuple(vertex)] for vertex in ours["vertices"]]
    except KeyError as error:
        return f"vertex {error} is not of the outline"
    triangles = [[corners[i] for i in t] for t in ours["triangles"]]
    if len(triangles) != len(expected):
        return f"{len(triangles)} triangles, expected {len(expected)}"
    if {frozenset(t) for t in triangles} == {frozenset(t) for t in expected.tolist()}:
        return None
    return constrained_delaunay_violation(outline.tolist(), triangles)


def cross(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def in_circle(a, b, c, d):
    """Exact on integers: positive if d is inside the circle of a, b, c."""
    (ax, ay), (bx, by), (cx, cy) = ((p[0] - d[0], p[1] - d[1]) for p in (a, b, c))
    return ((ax * ax + ay * ay) * (bx * cy - by * cx) + (bx * bx + by * by) * (cx * ay - cy * ax)
            + (cx * cx + cy * cy) * (ax * by - ay * bx))


def constrained_delaunay_violation(outline, triangles):
    n, opposite = len(outline), {}
    for a, b, c in triangles:
        if cross(outline[a], outline[b], outline[c]) < 0:
            b, c = c, b
        for edge, corner in (((a, b), c), ((b, c), a), ((c, a), b)):
            if edge in opposite:
                return f"two triangles on the same side of edge {edge}"
            opposite[edge] = corner
    for (a, b), c in opposite.items():
        d, of_outline = opposite.get((b, a)), (a - b) % n in (1, n - 1)
        if (d is None) != of_outline:
            return f"edge {a}-{b}: {1 + (d is not None)} triangles, of the outline: {of_outline}"
        if d is not None and in_circle(outline[a], outline[b], outline[c], outline[d]) > 0:
            return f"edge {a}-{b} is not Delaunay"
    return None


def refinement_violation(outline, maximum_px2, ours):
    """The broken promise in words, or None."""
    corners = np.array(ours["vertices"], np.float64)[np.array(ours["triangles"])]
    ab, ac = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas = np.abs(ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]) / 2
    if areas.max() > maximum_px2 * (1 + AREA_SLACK):
        return f"a triangle of {areas.max()} px2, the maximum is {maximum_px2}"
    polygon = abs(outline.doubled_area()) / 2
    # The area of an outline that crosses itself depends on the repair; Mesh::check holds it, not the reference.
    if outline.is_simple() and abs(areas.sum() - polygon) > COVERED_PX2:
        return f"{areas.sum()} px2 covered of {polygon}"
    return None


class Report:
    def __init__(self):
        self.counts, self.differences = {}, 0

    def add(self, what, subject, difference):
        compared, differing = self.counts.get(what, (0, 0))
        self.counts[what] = compared + 1, differing + bool(difference)
        if difference:
            self.differences += 1
            print(f"{subject}: {what}: {difference}", flush=True)

    def print(self):
        for what, (compared, differing) in self.counts.items():
            print(f"{what:34} {compared:8} compared {differing:6} differ")


def load(path):
    return json.loads(path.read_text()) if path else None


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("images", nargs="*", type=pathlib.Path, help="default: testdata/corpus")
    args.add_argument("--binary", default=reference.PROJECT / "target/release/spinelift", type=pathlib.Path)
    args.add_argument("--masks", type=int, default=1000, metavar="N", help="random masks (default 1000)")
    args.add_argument("--first-seed", type=int, default=1_000_000, help="default: seeds that are not in the recordings")
    args.add_argument("--jobs", type=int, default=2, help="threads of spinelift (default 2)")
    args = args.parse_args()
    cv2.setNumThreads(1)
    sets, safe, report = reference.parameter_sets(), SafeTriangle(), Report()
    refined = [(name, density) for name in REFINED_SETS for density in DENSITIES]

    with tempfile.TemporaryDirectory() as temporary:
        temporary = pathlib.Path(temporary)
        inputs = temporary / "inputs"
        inputs.mkdir()
        staged = {}  # number -> what it is; numbers, because two images may share a stem
        for path in args.images or reference.corpus_images():
            target = inputs / f"{len(staged):06}{path.suffix}"
            target.symlink_to(path.resolve())
            staged[target] = path.name
        for seed in range(args.first_seed, args.first_seed + args.masks):
            target = inputs / f"{len(staged):06}.png"
            alpha = masks.mask(seed)
            Image.fromarray(np.dstack([np.zeros((*alpha.shape, 3), np.uint8), alpha])).save(target)
            staged[target] = f"mask of seed {seed}"

        def meshes(folder, output_format, parameters):
            return run(args.binary, list(staged), temporary / folder, output_format, parameters, args.jobs)

        outlines = {name: meshes(f"outline-{name}", "outline", sets[name]) for name in sets}
        plain = {name: meshes(f"json-{name}", "json", sets[name]) for name in sets}
        fine = {(name, density): meshes(f"{name}-{density}", "json", sets[name] | {"internal_vertex_density": density})
                for name, density in refined}

        for path, subject in staged.items():
            alpha, stem = reference.alpha_plane(path), path.stem
            expected = {}
            for name in sets:
                parameters, where = reference.DEFAULTS | sets[name], f"{subject}, set {name}"
                try:
                    outline = expected[name] = reference.outline(alpha, parameters)
                except reference.NoContour:
                    outline = expected[name] = None
                report.add("outline", where, compare_outline(outline, load(outlines[name].get(stem))))
                if outline is None or not outline.is_simple():
                    continue
                ours = load(plain[name].get(stem))
                theirs = safe.triangles(outline.points)
                if theirs is not None:
                    difference = compare_triangles(outline.points, theirs, ours) if ours else "no mesh"
                    report.add("triangles, density 0", where, difference)
            for name, density in refined:
                if expected[name] is None or expected[name].is_degenerate():
                    continue
                parameters = reference.DEFAULTS | sets[name] | {"internal_vertex_density": density}
                ours = load(fine[name, density].get(stem))
                maximum = reference.max_triangle_area(alpha.shape[1], alpha.shape[0], parameters)
                difference = refinement_violation(expected[name], maximum, ours) if ours else "no mesh"
                report.add(f"refinement, density {density}", f"{subject}, set {name}", difference)

    report.print()
    if safe.crashes:
        print(f"Triangle ended its process on {safe.crashes} outlines")
    sys.exit(1 if report.differences else 0)


if __name__ == "__main__":
    main()
