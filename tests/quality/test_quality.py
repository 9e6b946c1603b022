"""The measure is measured: `python3 -m unittest discover tests/quality`. Needs what compare.py needs."""
import json
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import shapely

import alternatives
import compare
import outlines
import programs
import raster
import sprites

BUDGETS = compare.BUDGETS


def sprite(mask):
    return sprites.Sprite(Path("drawn.png"), np.asarray(mask, bool))


def random_masks(count=40):
    random = np.random.default_rng(7)
    for _ in range(count):
        shape = random.integers(1, 40, 2)
        coarse = random.random((shape + 3) // 4) < random.choice([0.2, 0.5, 0.8])
        mask = np.kron(coarse, np.ones((4, 4), bool))[: shape[0], : shape[1]] & (random.random(shape) < 0.95)
        if mask.any():
            yield mask


class Rasters(unittest.TestCase):
    def test_a_traced_outline_is_filled_with_the_mask_and_its_holes(self):
        for mask in random_masks():
            filled = raster.fill_rings(outlines.rings(mask), mask.shape)
            holes = sprites.cv2.connectedComponents((~np.pad(mask, 1)).astype(np.uint8), connectivity=4)[1]
            outside = holes[1:-1, 1:-1] == holes[0, 0]
            self.assertTrue((filled[mask]).all())
            # An island in another's hole flips it; elsewhere what is filled is not outside.
            self.assertFalse((filled & outside & ~mask).any())

    def test_triangles_hold_the_centres_that_exact_signs_say(self):
        random = np.random.default_rng(3)
        centres = np.stack(np.meshgrid(np.arange(30) + 0.5, np.arange(20) + 0.5), axis=-1)
        for _ in range(50):
            corners = random.uniform(-5, 35, (3, 2))
            sides = [side(corners[i], corners[(i + 1) % 3], centres) for i in range(3)]
            inside = np.all([s > 0 for s in sides], axis=0) | np.all([s < 0 for s in sides], axis=0)
            np.testing.assert_array_equal(raster.fill_triangles(corners, [[0, 1, 2]], (20, 30)), inside)
            np.testing.assert_array_equal(raster.fill_rings([corners], (20, 30)), inside)

    def test_scores_are_those_counted_by_hand(self):
        drawn = sprite([[1, 1, 0, 0, 1], [1, 1, 0, 0, 0]])
        covered = np.array([[0, 1, 1, 0, 0], [0, 1, 1, 0, 0]], bool)
        fit = raster.fit(drawn, covered)
        self.assertEqual((fit["lost_px"], fit["coverage"], fit["iou"]), (3, 2 / 5, 2 / 7))

    def test_scores_are_those_recorded_for_spinelift_score(self):
        folder = Path(__file__).parents[2] / "testdata"
        recordings = sorted((folder / "score").glob("*.json"))
        self.assertEqual(len(recordings), 8)
        for path in recordings:
            mesh = json.loads(path.read_text())
            alpha = sprites.alpha_plane(folder / "corpus" / mesh["image"])
            drawn = sprite(alpha >= mesh["threshold"])
            vertices = np.array(mesh["vertices"], float) + (0.5 if mesh["origin"] == "center" else 0)
            covered = raster.fill_triangles(vertices, mesh["triangles"], alpha.shape)
            fit, recorded = raster.fit(drawn, covered), mesh["scores"]
            self.assertEqual((int(covered.sum()), fit["lost_px"]), (recorded["mesh_px"], recorded["lost_px"]), path.name)
            self.assertAlmostEqual(fit["iou"], recorded["iou"], 6)
            self.assertAlmostEqual(fit["coverage"], recorded["coverage"], 6)

    def test_an_island_is_lost_when_less_than_half_of_it_is_covered(self):
        mask = np.zeros((8, 20), bool)
        mask[2:6, 1:5] = mask[2:6, 10:14] = mask[0, 19] = True
        covered = np.zeros_like(mask)
        covered[2:6, 1:5] = covered[2:6, 10:11] = True
        fit = raster.fit(sprite(mask), covered)
        self.assertEqual((fit["islands"], fit["islands_lost"]), (2, 1))


class Alternatives(unittest.TestCase):
    def expect_cover(self, make, mask):
        drawn = sprite(mask)
        for setting, rings in make(drawn):
            lost = raster.fit(drawn, raster.fill_rings(rings, mask.shape))["lost_px"]
            self.assertEqual(lost, 0, f"{make.__name__}, {setting}:\n{mask.astype(int)}")

    def test_hulls_cover_any_mask(self):
        for mask in random_masks():
            self.expect_cover(alternatives.reduced_hull, mask)

    def test_outward_douglas_peucker_covers_shapes(self):
        # Of noise it may leave out a pixel, where edges that are pushed out cross; `choose` then takes another tolerance.
        y, x = np.mgrid[:60, :80]
        disc = (x - 40) ** 2 + (y - 30) ** 2 <= 28**2
        for mask in (disc, disc & (np.abs(x - 40) > 4), (x + y) % 40 < 25, disc & ~((x > 30) & (y > 20))):
            self.expect_cover(alternatives.outward_douglas_peucker, mask)

    def test_bridges_join_all_islands(self):
        for mask in random_masks():
            self.assertEqual(len(outlines.rings(outlines.bridged(sprite(mask)))), 1)

    def test_a_hull_is_dropped_edge_by_edge_until_sides_are_parallel(self):
        y, x = np.mgrid[:60, :60]
        disc = sprite((x - 29.5) ** 2 + (y - 29.5) ** 2 <= 28**2)
        counts = [len(rings[0]) for _, rings in alternatives.reduced_hull(disc)]
        self.assertEqual(counts, list(range(counts[0], 3, -1)))
        areas = [shapely.Polygon(rings[0]).area for _, rings in alternatives.reduced_hull(disc)]
        self.assertTrue((np.diff(areas) > -1e-9).all(), areas)

    def test_growth_keeps_islands_apart_and_within_the_image(self):
        mask = np.zeros((40, 80), bool)
        mask[5:35, 5:30] = mask[5:35, 50:75] = True
        for _, rings in alternatives.grown_as_in_godot(sprite(mask)):
            self.assertEqual([len(ring) >= 4 for ring in rings], [True, True])
            corners = np.concatenate(rings)
            self.assertTrue((corners >= 0).all() and (corners <= (80, 40)).all())


class Choices(unittest.TestCase):
    def test_the_budget_comes_first_then_coverage_then_fit(self):
        def c(vertices, lost_px, iou):
            return {"vertices": vertices, "lost_px": lost_px, "iou": iou}
        self.assertEqual(compare.choose([c(9, 0, 0.9), c(8, 5, 0.5)], 8), c(8, 5, 0.5))
        self.assertEqual(compare.choose([c(8, 5, 0.9), c(8, 0, 0.5)], 8), c(8, 0, 0.5))
        self.assertEqual(compare.choose([c(8, 5, 0.9), c(8, 0, 0.5)], 8, meant_to_cover=False), c(8, 5, 0.9))
        self.assertEqual(compare.choose([c(6, 0, 0.4), c(8, 0, 0.5)], 8), c(8, 0, 0.5))
        self.assertEqual(compare.choose([c(20, 0, 0.9), c(12, 0, 0.5)], 8), c(12, 0, 0.5))
        self.assertIsNone(compare.choose([], 8))

    def test_a_missing_mesh_counts_nothing(self):
        drawn = sprite(np.ones((5, 5)))
        meshes = {("some", drawn.name, budget): None for budget in BUDGETS}
        row = compare.summarise([drawn], meshes)[0]
        self.assertEqual((row["iou"], row["coverage"], row["lost_px"], row["without_mesh"]), (0, 0, 25, 1))


# Stands in for the command: meshes each image by its rectangle, but for one that fails.
STAND_IN = """#!{python}
import json, pathlib, sys
images = [a for a in sys.argv[2:] if a.endswith(".png")]
folder = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
parameters = dict(a.split("=") for a in sys.argv if "=" in a and not a.startswith("-"))
if {knows_cover!r} == "refuses":
    sys.exit(2)
if {knows_cover!r} != "yes":
    del parameters["outline"]
for image in images[1:]:
    mesh = dict(vertices=[[0, 0], [16, 0], [16, 16], [0, 16], [8, 8]], boundary_edges=[0, 1, 1, 2, 2, 3, 0, 3],
                triangles=[[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]], metadata=dict(parameters=parameters))
    (folder / (pathlib.Path(image).stem + ".json")).write_text(json.dumps(mesh))
"""


class Programs(unittest.TestCase):
    def run_stand_in(self, knows_cover):
        corpus = [s for s in sprites.read([Path(__file__).parents[2] / "testdata/corpus"], 10) if "tiny" in s.name]
        with tempfile.TemporaryDirectory() as folder:
            command = Path(folder) / "spinelift"
            command.write_text(STAND_IN.replace("{python}", sys.executable)
                               .replace("{knows_cover!r}", repr(knows_cover)))
            command.chmod(0o755)
            found = []
            compare.measure_spinelift(str(command), compare.COVER, corpus, lambda *row: found.append(row))
            return found

    def test_meshes_of_the_command_are_scored_and_missing_ones_are_none(self):
        found = self.run_stand_in("yes")
        self.assertEqual([(s.name, budget) for s, budget, _ in found[:3]],
                         [("tiny-heart-16.png", 8), ("tiny-star-12.png", 8), ("tiny-heart-16.png", 16)])
        self.assertIsNone(found[0][2])
        self.assertEqual((found[1][2]["vertices"], found[1][2]["coverage"]), (4, 1.0))

    def test_a_command_that_does_not_cover_is_refused(self):
        with self.assertRaisesRegex(programs.Refused, "does not know outline = cover"):
            self.run_stand_in("no")
        with self.assertRaisesRegex(programs.Refused, "does not take"):
            self.run_stand_in("refuses")


class Documents(unittest.TestCase):
    def test_tables_replace_what_is_between_the_marks(self):
        begin, end = compare.MARKS
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "quality.md"
            path.write_text(f"head\n{begin}old\n{end}tail\n")
            compare.write_tables(path, "new\n")
            self.assertEqual(path.read_text(), f"head\n{begin}new\n{end}tail\n")


def side(a, b, p):
    return (b[0] - a[0]) * (p[..., 1] - a[1]) - (b[1] - a[1]) * (p[..., 0] - a[0])


if __name__ == "__main__":
    unittest.main()
