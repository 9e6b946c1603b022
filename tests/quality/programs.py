"""Meshes made by programs: SpineLift's command, and a reference that prints meshes as JSON lines."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import raster

# Each of the original's two knobs over its range: fine to coarse.
REFERENCE_SETTINGS = [{"detail_factor": detail} for detail in (0.05, 0.045, 0.04, 0.035, 0.03, 0.025, 0.02, 0.015, 0.01)]
REFERENCE_SETTINGS += [{"detail_factor": 0.01, "concave_factor": smooth} for smooth in (5, 10, 20, 35, 60, 100)]


USAGE = 2  # what the command exits with when it refuses its arguments


class Refused(Exception):
    """The command does not know `outline = cover`, or a parameter of it."""


def assignments(parameters):
    return [text for name, value in parameters.items() for text in ("--set", f"{name}={value}")]


def spinelift(command, sprites, parameters):
    """Meshes by image name: boundary vertices and the mask of covered pixels. What failed is left out."""
    with tempfile.TemporaryDirectory() as folder:
        images = [str(sprite.path) for sprite in sprites]
        arguments = [command, "mesh", *images, "-q", "-o", folder + "/", "--format", "json", *assignments(parameters)]
        if subprocess.run(arguments).returncode == USAGE:
            raise Refused(f"{command} does not take {parameters}; build a newer one")
        made = {}
        for sprite in sprites:
            # The whole name where two images differ in the ending alone.
            names = (sprite.path.stem + ".json", sprite.name + ".json")
            result = next((Path(folder) / name for name in names if (Path(folder) / name).exists()), None)
            if result is None:
                continue
            mesh = json.loads(result.read_text())
            if mesh["metadata"]["parameters"].get("outline") != parameters["outline"]:
                raise Refused(f"{command} does not know outline = {parameters['outline']}; build a newer one")
            covered = raster.fill_triangles(mesh["vertices"], mesh["triangles"], sprite.opaque.shape)
            made[sprite.name] = {"vertices": len(set(mesh["boundary_edges"])), "covered": covered,
                                 "rings": boundary(mesh["vertices"], mesh["boundary_edges"])}
        return made


def boundary(vertices, edges):
    """The edges of one triangle as lines of two points, for drawing."""
    return np.asarray(vertices, float)[np.asarray(edges, int).reshape(-1, 2)]


def reference(script, sprites, parameters):
    """The same from the reference. It may crash on an outline that touches itself; the images after that are asked anew."""
    made, left = {}, list(sprites)
    while left:
        images = [str(sprite.path) for sprite in left]
        run = subprocess.run([sys.executable, script, *images, *assignments(parameters)], capture_output=True, text=True)
        lines = [json.loads(line) for line in run.stdout.splitlines()]
        for sprite, mesh in zip(left, lines):
            if "error" in mesh:
                continue
            # Its vertices name pixels by their index.
            vertices = np.asarray(mesh["vertices"], float) + 0.5
            covered = raster.fill_triangles(vertices, mesh["triangles"], sprite.opaque.shape)
            made[sprite.name] = {"vertices": len(mesh["outline"]), "covered": covered,
                                 "rings": boundary(vertices, mesh["boundary_edges"])}
        left = left[len(lines) + 1 :]  # without the one it crashed on
    return made
