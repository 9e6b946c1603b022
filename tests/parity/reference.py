"""The behaviour SpineLift reproduces: the mesh pipeline on OpenCV 5 and Triangle.

    pip install opencv-python-headless==5.0.0.93 triangle==20250106 numpy==2.4.6 pillow==13.0.0 shapely==2.2.0

Other versions of OpenCV simplify differently: 4.x has another Douglas-Peucker clean-up. Distances are pixels, x to the
right, y down. The recordings (`record.py`), the live comparison (`live.py`) and the benchmarks (`benches/compare.py`)
all import this one file, so there is one definition of "right".
"""
import json
import math
import pathlib
from dataclasses import dataclass

import cv2
import numpy as np
import triangle
from PIL import Image

PROJECT = pathlib.Path(__file__).resolve().parents[2]
CORPUS = PROJECT / "testdata/corpus"
RECORDINGS = PROJECT / "testdata/parity"
IMAGE_SUFFIXES = {".png", ".webp", ".jpg", ".jpeg", ".gif", ".bmp"}

DEFAULTS = {
    "detail_factor": 0.01,  # 0.001..0.050: higher keeps more detail
    "alpha_threshold": 10,  # alpha below this counts as 0
    "concave_factor": 0.0,  # 0..100: higher smooths more (epsilon up to x5)
    "internal_vertex_density": 0,  # 0 = polygon only, else refine to a maximum triangle area
    "blur_kernel_size": 1,  # 1 = no blur, even becomes +1
    "binary_threshold": 128,  # mask > threshold is inside
    "min_contour_area": 10.0,  # px2
    "density_scaling_factor": 1000.0,
    "min_triangle_area": 1.0,  # px2
}


class NoContour(ValueError):
    """Nothing of min_contour_area or more is inside."""


@dataclass
class Outline:
    contour_points: int  # of the compressed contour, before simplification
    epsilon: float  # Douglas-Peucker tolerance, px
    points: np.ndarray  # (n, 2) int, as approxPolyDP returned them: one or two points are possible

    def doubled_area(self):
        """Twice the signed area in px2, exact."""
        x, y = self.points.astype(np.int64).T
        return int(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))

    def is_degenerate(self):
        """No polygon: where the original returned the full-image rectangle, SpineLift halves epsilon."""
        return len(self.points) < 3 or self.doubled_area() == 0

    def is_simple(self):
        """Neither touches nor crosses itself. Triangle may end the process on an outline that does."""
        from shapely import Polygon  # only the proof needs it, the benchmarks do not

        distinct = len(np.unique(self.points, axis=0)) == len(self.points)  # shapely lets a point repeat at once
        return not self.is_degenerate() and distinct and Polygon(self.points).is_valid


def parameter_sets():
    """Name -> the parameters that differ from DEFAULTS, in the order of the file."""
    return json.loads((RECORDINGS / "sets.json").read_text())


def corpus_images():
    return sorted(p for p in CORPUS.iterdir() if p.suffix in IMAGE_SUFFIXES)


def alpha_plane(path):
    """Alpha bytes, (height, width). Pillow truncates 16-bit alpha and reads an animation's first frame."""
    with Image.open(path) as image:
        return np.array(image.convert("RGBA"))[:, :, 3]


def binary_mask(alpha, p):
    mask = np.where(alpha < p["alpha_threshold"], 0, alpha).astype(np.uint8)
    kernel = int(p["blur_kernel_size"]) | 1
    if kernel > 1:
        mask = cv2.blur(mask, (kernel, kernel))
    return cv2.threshold(mask, p["binary_threshold"], 255, cv2.THRESH_BINARY)[1]


def main_contour(binary, p):
    contours, _ = cv2.findContours(binary, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    contours = [c for c in contours if cv2.contourArea(c) >= p["min_contour_area"]]
    if not contours:
        raise NoContour("no contour of min_contour_area or more")
    return max(contours, key=cv2.contourArea)  # OpenCV lists the last in raster order first; max takes the first


def simplification_epsilon(arc_length, p):
    detail = min(max(p["detail_factor"], 0.001), 0.050)
    share = math.sqrt((detail - 0.001) / 0.049)
    epsilon = (0.002 + (1.0 - share) * 0.028) * arc_length
    return max(0.1, epsilon * (1.0 + min(max(p["concave_factor"], 0.0), 100.0) / 25.0))


def simplify(contour, p):
    epsilon = simplification_epsilon(cv2.arcLength(contour, True), p)
    return Outline(len(contour), epsilon, cv2.approxPolyDP(contour, epsilon, True).reshape(-1, 2))


def outline(alpha, p):
    """The simplified outline of an alpha plane. Raises NoContour."""
    return simplify(main_contour(binary_mask(alpha, p), p), p)


def max_triangle_area(width, height, p):
    return max(p["min_triangle_area"], width * height / (p["internal_vertex_density"] * p["density_scaling_factor"]))


def triangulate(points, options="p"):
    """Vertices and triangles by Triangle. It may end the process unless the outline is simple."""
    n = len(points)
    segments = [[i, (i + 1) % n] for i in range(n)]
    result = triangle.triangulate({"vertices": np.asarray(points, np.float64), "segments": segments}, options)
    return result["vertices"], result["triangles"]


def edges(triangles):
    """Boundary and internal edges, as pairs of indices, counted in a dict as the original does."""
    uses = {}
    for t in triangles:
        for a, b in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0])):
            edge = (int(min(a, b)), int(max(a, b)))
            uses[edge] = uses.get(edge, 0) + 1
    return [e for e, count in uses.items() if count == 1], [e for e, count in uses.items() if count > 1]


def mesh(path, p, clock=lambda stage: None):
    """The whole pipeline, from the file to the mesh as JSON text. `clock(stage)` is called after each stage."""
    alpha = alpha_plane(path)
    clock("decode")
    height, width = alpha.shape
    binary = binary_mask(alpha, p)
    clock("mask")
    contour = main_contour(binary, p)
    clock("contour")
    simplified = simplify(contour, p)
    points = simplified.points
    if len(points) < 3:  # the original's silent fallback; SpineLift deviates, see Outline.is_degenerate
        points = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    clock("simplify")
    area = f"a{max_triangle_area(width, height, p):.10f}" if p["internal_vertex_density"] > 0 else ""
    vertices, triangles = triangulate(points, "p" + area)
    clock("triangulate")
    uvs = vertices / [width, height]
    clock("uvs")
    boundary, internal = edges(triangles)
    clock("edges")
    text = json.dumps({
        "width": width, "height": height, "epsilon": simplified.epsilon,
        "contour_points": simplified.contour_points, "outline": points.tolist(),
        "vertices": vertices.tolist(), "triangles": triangles.tolist(), "uvs": uvs.ravel().tolist(),
        "boundary_indices": list(range(len(points))),
        "boundary_edges": [v for e in boundary for v in e], "internal_edges": [v for e in internal for v in e],
    })
    clock("export")
    return text
