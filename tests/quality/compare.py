#!/usr/bin/env python3
"""How well meshes fit their sprites at 8, 16, 32 and 64 outline vertices: SpineLift beside other ways to an outline.

    pip install numpy scipy shapely opencv-python-headless pillow
    cargo build --release
    python3 tests/quality/compare.py --spinelift target/release/spinelift testdata/corpus \\
        --markdown docs/quality.md --pictures docs/images

--markdown writes the tables with date and command into a file, between its marks where it has them. --pictures draws panels
of six sprites with each method's outline at 16 vertices. --json keeps every number. Without --spinelift only the
alternatives are measured. --reference SCRIPT adds a program that is called as `SCRIPT IMAGE... --set NAME=VALUE` and prints
a JSON line an image with `outline`, `vertices`, `triangles` and `boundary_edges`, positions naming pixels by their index.
docs/quality.md defines what is measured.

The files: `sprites.py` reads a corpus, `outlines.py` traces it, `alternatives.py` has the other methods, `programs.py`
calls SpineLift and the reference, `raster.py` scores all alike, `panels.py` draws.
"""
import argparse
import datetime
import json
import shlex
import sys
from pathlib import Path

import cv2
import numpy
import shapely

import alternatives
import panels
import programs
import raster
import sprites

BUDGETS = (8, 16, 32, 64)
THRESHOLD = 10

# Nothing is dropped, so that the promise of coverage is for every pixel.
COVER = {"outline": "cover", "alpha_threshold": THRESHOLD, "min_contour_area": 0, "islands": "bridge"}
SPINELIFT = {
    "SpineLift": COVER | {"holes": "fill"},
    "SpineLift, effort = best": COVER | {"holes": "fill", "effort": "best"},
    "SpineLift, holes = cut": COVER | {"holes": "cut"},
    "SpineLift, holes = cut, effort = best": COVER | {"holes": "cut", "effort": "best"},
}
ALTERNATIVES = {
    "outward Douglas-Peucker": alternatives.outward_douglas_peucker,
    "reduced convex hull": alternatives.reduced_hull,
    "growth as in Godot": alternatives.grown_as_in_godot,
}
ORIGINAL = "the original"
MARKS = ("<!-- tables: begin -->\n", "<!-- tables: end -->\n")

CATEGORIES = {
    "single island, no hole": lambda sprite: sprite.is_single,
    "rig parts": lambda sprite: sprite.is_rig_part,
    "all": lambda sprite: True,
}


def choose(candidates, budget, *, meant_to_cover=True):
    """The best within the budget, or what exceeds it least: first whether it covers, then how well it fits."""
    def rank(c):
        return max(0, c["vertices"] - budget), meant_to_cover and c["lost_px"] > 0, -c["iou"]

    return min(candidates, key=rank, default=None)


def candidate(sprite, setting, rings):
    covered = raster.fill_rings(rings, sprite.opaque.shape)
    return {"setting": setting, "vertices": sum(map(len, rings)), "rings": rings} | raster.fit(sprite, covered)


def measure_alternative(make, corpus, found):
    for sprite in corpus:
        candidates = [candidate(sprite, setting, rings) for setting, rings in make(sprite)]
        for budget in BUDGETS:
            found(sprite, budget, choose(candidates, budget))


def measure_reference(script, corpus, found):
    candidates = {sprite.name: [] for sprite in corpus}
    for parameters in programs.REFERENCE_SETTINGS:
        made = programs.reference(script, corpus, parameters)
        setting = ", ".join(f"{name} {value}" for name, value in parameters.items())
        for sprite in corpus:
            if mesh := made.get(sprite.name):
                candidates[sprite.name].append({"setting": setting} | fitted(sprite, mesh))
    for sprite in corpus:
        for budget in BUDGETS:
            # Its one way to cover is the whole image, which it gives where it finds no outline.
            found(sprite, budget, choose(candidates[sprite.name], budget, meant_to_cover=False))


def measure_spinelift(command, parameters, corpus, found):
    for budget in BUDGETS:
        made = programs.spinelift(command, corpus, parameters | {"max_vertices": budget})
        for sprite in corpus:
            mesh = made.get(sprite.name)
            found(sprite, budget, mesh and fitted(sprite, mesh))


def fitted(sprite, mesh):
    """A program's mesh with its scores; the mask goes, as there are many."""
    return {key: mesh[key] for key in ("vertices", "rings")} | raster.fit(sprite, mesh["covered"])


def measure(args, corpus):
    """Every method's mesh for every sprite and budget, None where there is none: {(method, sprite's name, budget): mesh}."""
    meshes = {}

    def under(method):
        print(method, file=sys.stderr, flush=True)
        return lambda sprite, budget, mesh: meshes.__setitem__((method, sprite.name, budget), mesh)

    if args.spinelift:
        for method, parameters in SPINELIFT.items():
            measure_spinelift(args.spinelift, parameters, corpus, under(method))
    for method, make in ALTERNATIVES.items():
        measure_alternative(make, corpus, under(method))
    if args.reference:
        measure_reference(args.reference, corpus, under(ORIGINAL))
    return meshes


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def summarise(corpus, meshes):
    """A row a category, method and budget. A sprite without a mesh has coverage and IoU 0, and has lost everything."""
    rows = []
    for category, belongs in CATEGORIES.items():
        members = [sprite for sprite in corpus if belongs(sprite)]
        for method in dict.fromkeys(method for method, _, _ in meshes):
            for budget in BUDGETS if members else ():
                nothing = {s.name: raster.fit(s, raster.fill_rings([], s.opaque.shape)) for s in members}
                got = [meshes[method, s.name, budget] or nothing[s.name] | {"vertices": 0} for s in members]
                rows.append({
                    "category": category, "images": len(members), "method": method, "budget": budget,
                    "vertices": mean(m["vertices"] for m in got), "iou": mean(m["iou"] for m in got),
                    "coverage": mean(m["coverage"] for m in got), "lost_px": sum(m["lost_px"] for m in got),
                    "not_covering": sum(m["lost_px"] > 0 for m in got),
                    "islands_lost": sum(m["islands_lost"] for m in got), "islands": sum(m["islands"] for m in got),
                    "without_mesh": sum(m["vertices"] == 0 for m in got),
                })
    return rows


def markdown(rows):
    """A table a category: mean IoU at each budget with the mean vertices used, and what is lost at 16."""
    lines = []
    for category in dict.fromkeys(row["category"] for row in rows):
        here = [row for row in rows if row["category"] == category]
        lines += ["", f"### {category.capitalize()} ({here[0]['images']} images)", "",
                  "| method | " + " | ".join(f"IoU at {n} (vertices used)" for n in BUDGETS)
                  + " | at 16: coverage | lost px | images not covered | islands lost |",
                  "|---" * (5 + len(BUDGETS)) + "|"]
        for method in dict.fromkeys(row["method"] for row in here):
            at = {row["budget"]: row for row in here if row["method"] == method}
            fits = " | ".join(f"{at[n]['iou']:.3f} ({at[n]['vertices']:.0f})" for n in BUDGETS)
            row = at[16]
            lines.append(f"| {method} | {fits} | {row['coverage']:.4f} | {row['lost_px']} | {row['not_covering']} "
                         f"| {row['islands_lost']} of {row['islands']} |")
    return "\n".join(lines[1:]) + "\n"


def command_line(args):
    """How to do it again. Of programs only the name: they lie elsewhere on every machine."""
    words = ["python3", "tests/quality/compare.py", *args.corpus]
    words += ["--spinelift", "target/release/" + Path(args.spinelift).name] if args.spinelift else []
    words += ["--reference", Path(args.reference).name] if args.reference else []
    return shlex.join(words)


def write_tables(path, text):
    """Between the marks of a document; a file without them is written anew."""
    document = path.read_text() if path.exists() else ""
    begin, end = MARKS
    if begin in document and end in document:
        before, rest = document.split(begin, 1)
        text = before + begin + text + end + rest.split(end, 1)[1]
    path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="+", help="folders of images")
    parser.add_argument("--spinelift", metavar="COMMAND")
    parser.add_argument("--reference", metavar="SCRIPT")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="standard output by default")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    corpus = sprites.read(args.corpus, THRESHOLD)
    try:
        meshes = measure(args, corpus)
    except programs.Refused as error:
        sys.exit(f"compare.py: {error}")
    rows = summarise(corpus, meshes)
    date = datetime.date.today().isoformat()
    if args.json:
        images = [{"image": name, "method": method, "budget": budget}
                  | {key: value for key, value in (mesh or {}).items() if key != "rings"}
                  for (method, name, budget), mesh in meshes.items()]
        report = {"date": date, "command": command_line(args), "summary": rows, "images": images}
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    if args.pictures:
        panels.draw(corpus, meshes, args.pictures)
    tools = f"OpenCV {cv2.__version__}, Shapely {shapely.__version__}, NumPy {numpy.__version__}"
    text = f"{date}, {tools}:\n\n```sh\n{command_line(args)}\n```\n\n{markdown(rows)}"
    write_tables(args.markdown, text) if args.markdown else print(text)


if __name__ == "__main__":
    main()
