#!/usr/bin/env python3
"""Records what the reference makes of the corpus and of random masks, for tests/parity.rs.

    python3 tests/parity/record.py

Writes testdata/parity/corpus.jsonl and testdata/parity/masks.jsonl; needs the packages named in reference.py. The
format is described in tests/parity/README.md. Run it only to add images or parameter sets: a recording that changes
for an old image means that the reference changed, and that must be explained, not committed.
"""
import argparse
import json
import zlib

import cv2

import masks
import reference

MASKS = 6400  # 800 of each kind, 400 of each parameter set
MASKS_IN_FULL = 320  # outlines stored point for point: enough to debug from, the rest is a checksum to stay small
# Finds of live.py: outlines whose repair once failed, because they cross themselves dozens of times.
FOUND = {1000545: "detail-0.05", 1000912: "detail-0.05", 1001312: "alpha-0-binary-0-detail-0.05"}


def record(alpha, parameters, in_full=True):
    """What the reference says of one plane under one parameter set."""
    try:
        outline = reference.outline(alpha, reference.DEFAULTS | parameters)
    except reference.NoContour:
        return {"failure": True}
    line = {"contour_points": outline.contour_points, "epsilon": outline.epsilon}
    degenerate = outline.is_degenerate()
    if degenerate:
        line["degenerate"] = True
    if in_full or degenerate:
        line["outline"] = outline.points.ravel().tolist()
    else:
        line["points"], line["crc32"] = len(outline.points), zlib.crc32(outline.points.astype("<i4").tobytes())
    if in_full and outline.is_simple():
        triangles = reference.triangulate(outline.points)[1]
        line["triangles"] = [int(i) for t in sorted(sorted(t) for t in triangles.tolist()) for i in t]
    return line


def write(name, lines):
    path = reference.RECORDINGS / name
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    failures = sum("failure" in line for line in lines)
    degenerate = sum("degenerate" in line for line in lines)
    simple = sum("triangles" in line for line in lines)
    print(f"{path.name}: {len(lines)} lines, {failures} without a contour, {degenerate} degenerate, "
          f"{simple} with triangles, {path.stat().st_size / 1e6:.2f} MB")


def main():
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    cv2.setNumThreads(1)
    sets = reference.parameter_sets()
    lines = []
    for path in reference.corpus_images():
        alpha = reference.alpha_plane(path)
        lines.append({"image": path.name, "alpha_crc32": zlib.crc32(alpha.tobytes())})
        lines += [{"image": path.name, "set": name} | record(alpha, sets[name]) for name in sets]
    write("corpus.jsonl", lines)

    names = list(sets)
    lines = []
    for seed in range(MASKS):
        name, mask = names[seed // masks.KINDS % len(names)], masks.mask(seed)
        if seed < MASKS_IN_FULL:
            lines.append({"seed": seed, "alpha_crc32": zlib.crc32(mask.tobytes())})
        lines.append({"seed": seed, "set": name} | record(mask, sets[name], seed < MASKS_IN_FULL))
    lines += [{"seed": seed, "set": name} | record(masks.mask(seed), sets[name]) for seed, name in FOUND.items()]
    write("masks.jsonl", lines)


if __name__ == "__main__":
    main()
