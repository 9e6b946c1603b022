#!/usr/bin/env python3
"""SpineLift's speed and memory against OpenCV + Triangle and against inflate alone, all in one run.

    cargo build --release
    pip install deflate==0.9.0        # libdeflate; the rest as in tests/parity/reference.py
    python3 benches/compare.py > table.md

Ours and theirs alternate image by image and round by round, so that both see the same machine; the figures are medians
over the rounds, and ratios hold where milliseconds drift. Both run on one thread, from the file's bytes to the mesh as
JSON text. Prints markdown for docs/benchmarks.md; progress goes to standard error.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import cv2
import deflate
import numpy as np

import images

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/parity"))
import reference  # noqa: E402

STAGES = ["decode", "mask", "contour", "simplify", "triangulate", "uvs", "edges", "export", "total"]
# The finest that the parameters allow: 1.55 million triangles where all of 4096 x 4096 px is inside.
FINEST = {"internal_vertex_density": 100, "density_scaling_factor": 10000}
MOST_TRIANGLES = 5_000_000  # above what FINEST gives on 4096 x 4096


class Command:
    """The built binary: its stage times, wall time and memory."""

    def __init__(self, binary, folder):
        self.binary, self.output = str(binary), str(folder / "mesh.json")

    def mesh(self, paths, output, parameters=None, *options):
        pairs = [o for name, value in (parameters or {}).items() for o in ("--set", f"{name}={value}")]
        return [self.binary, "mesh", *map(str, paths), "-o", str(output), "--quiet", *pairs, *options]

    def stages(self, path, parameters, repeat):
        """Milliseconds by stage: the command's own median over `repeat`, on one thread."""
        options = ["--timings", "--repeat", str(repeat), "--max-triangles", str(MOST_TRIANGLES)]
        done = subprocess.run(self.mesh([path], self.output, parameters, *options), capture_output=True, text=True)
        lines = [line for line in done.stderr.splitlines() if line.startswith("{")]
        if done.returncode or not lines:
            sys.exit(f"{path}, {parameters}: status {done.returncode}\n{done.stderr}")
        return json.loads(lines[0])["ms"]

    def wall_ms(self, command):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return (time.perf_counter() - start) * 1e3

    def peak_mb(self, command):
        """Peak resident memory. Through GNU time: a child forked from this process would inherit its peak."""
        done = subprocess.run(["/usr/bin/time", "-f", "%M", *command], check=True, capture_output=True, text=True)
        return int(done.stderr.split()[-1]) / 1024


def reference_stages(path, parameters):
    """Milliseconds by stage of OpenCV + Triangle."""
    stages, last = {}, [time.perf_counter()]

    def clock(stage):
        now = time.perf_counter()
        stages[stage], last[0] = (now - last[0]) * 1e3, now

    reference.mesh(path, reference.DEFAULTS | parameters, clock)
    return stages | {"total": sum(stages.values())}


def idat(path):
    """The compressed pixels of a PNG in one piece, and their size when inflated (8-bit RGBA, not interlaced)."""
    data, at, parts = path.read_bytes(), 8, []
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    while at < len(data):
        length, kind = int.from_bytes(data[at:at + 4]), data[at + 4:at + 8]
        if kind == b"IDAT":
            parts.append(data[at + 8:at + 8 + length])
        at += length + 12
    return b"".join(parts), height * (width * 4 + 1)


def inflate_ms(path):
    """libdeflate alone, into a buffer that is allocated for it: page faults count, as they do for any first image."""
    compressed, size = idat(path)
    start = time.perf_counter()
    deflate.zlib_decompress(compressed, size)
    return (time.perf_counter() - start) * 1e3


def medians(runs):
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def progress(text):
    print(text, file=sys.stderr, flush=True)


def compare(command, path, parameters, rounds, repeat):
    """Medians of ours and theirs by stage; theirs is None where Triangle might end the process."""
    progress(f"{path.name} {parameters}")
    alpha = reference.alpha_plane(path)
    simple = reference.outline(alpha, reference.DEFAULTS | parameters).is_simple()
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(command.stages(path, parameters, repeat))
        if simple:
            theirs.append(reference_stages(path, parameters))
    return medians(ours), medians(theirs) if simple else None


class Bars:
    """The table of what must be reached."""

    def __init__(self):
        self.rows = []

    def at_least(self, what, theirs, ours, ratio, bar, unit="ms"):
        self.add(what, theirs, ours, f"{ratio:.2f}", f">= {bar}", ratio >= bar, unit)

    def at_most(self, what, theirs, ours, value, bar, unit="ms"):
        self.add(what, theirs, ours, f"{value:.2f}", f"<= {bar}", value <= bar, unit)

    def add(self, what, theirs, ours, value, bar, met, unit):
        cell = "{:.3g} " + unit
        show = [cell.format(x) if x is not None else "" for x in (theirs, ours)]
        self.rows.append(f"| {what} | {show[0]} | {show[1]} | {value} | {bar} | {'met' if met else '**not met**'} |")

    def print(self):
        print("| what | reference | SpineLift | ratio or value | to reach | |\n|---|---|---|---|---|---|")
        print("\n".join(self.rows))


def end_to_end(command, folder, bars, args):
    """Whole images: totals and stages with their bars. Returns the rows of the table of stages."""
    def path(name):
        return folder / f"{name}.png"

    cases = [  # name, parameters, least ratio of the totals
        ("photo-4096", {}, 7), ("photo-4096", {"blur_kernel_size": 5}, 7), ("flat-4096", {}, 25),
        ("photo-2048", {"detail_factor": 0.05, "internal_vertex_density": 84}, 12),
        ("photo-2048", {"detail_factor": 0.05, "internal_vertex_density": 12}, None),
        ("photo-512", {}, 5), ("flat-512", {}, None), ("hair-512", {}, None), ("ragged-2048", {}, None),
        ("hair-4096", {}, None), ("opaque-4096", {}, None),
    ]
    rows, results = [], {}
    for name, parameters, bar in cases:
        ours, theirs = compare(command, path(name), parameters, args.rounds, args.repeat)
        settings = ", ".join(f"{k} {v}" for k, v in parameters.items()) or "defaults"
        results[name, settings] = ours, theirs
        label = f"{name}, {settings}"
        if theirs is None:
            rows.append(f"| {label} | outline touches itself, no reference |" + " |" * (len(STAGES) - 1))
            continue
        cells = [f"{ours[s]:.3g} ({theirs[s] / max(ours[s], 1e-4):.1f})" for s in STAGES]
        rows.append(f"| {label} | " + " | ".join(cells) + " |")
        if bar:
            bars.at_least(f"{label}: total", theirs["total"], ours["total"], theirs["total"] / ours["total"], bar)

    def stage(what, key, name, bar):
        ours, theirs = results[key]
        bars.at_least(what, theirs[name], ours[name], theirs[name] / max(ours[name], 1e-4), bar)

    photo, blurred = ("photo-4096", "defaults"), ("photo-4096", "blur_kernel_size 5")
    few = ("photo-2048", "detail_factor 0.05, internal_vertex_density 12")
    stage("mask, photo-4096", photo, "mask", 30)
    stage("mask with blur 5, photo-4096", blurred, "mask", 1.2)
    stage("contour, photo-4096", photo, "contour", 6)
    stage("contour, flat-4096", ("flat-4096", "defaults"), "contour", 6)
    stage("contour, ragged-2048", ("ragged-2048", "defaults"), "contour", 6)
    stage("JSON, 8,000 triangles", few, "export", 15)
    stage("edges, 8,000 triangles", few, "edges", 100)
    return rows


def sprites(command, bars, args):
    """Real flat art of 512 px."""
    ours_total, theirs_total, ratios = 0, 0, []
    for path in reference.corpus_images():
        if "512" in path.stem and path.suffix == ".png":
            ours, theirs = compare(command, path, {}, args.rounds, 20)
            if theirs:
                ours_total, theirs_total = ours_total + ours["total"], theirs_total + theirs["total"]
                ratios.append(theirs["total"] / ours["total"])
    n = len(ratios)
    what = f"{n} real sprites of 512 px: median ratio (mean times; {min(ratios):.1f} to {max(ratios):.1f})"
    bars.at_least(what, theirs_total / n, ours_total / n, statistics.median(ratios), 20)


def against_inflate(command, path, bars, args):
    """The whole pipeline against inflate alone, and whether the wall time outside agrees with the time inside."""
    progress(f"inflate {path.name}")
    runs = []
    for _ in range(2 * args.rounds):
        job, idle = command.mesh([path], command.output), [command.binary, "--version"]
        inside = command.stages(path, {}, 1)["total"]
        outside = command.wall_ms(job) - command.wall_ms(idle)
        runs.append({"inflate": inflate_ms(path), "inside": inside, "warm": command.stages(path, {}, 5)["total"],
                     "outside": outside})
    m = medians(runs)
    bars.at_most(f"{path.stem}: whole pipeline / libdeflate into a fresh buffer", m["inflate"], m["warm"],
                 m["warm"] / m["inflate"], 0.9)
    return (f"{path.stem}: {m['warm']:.1f} ms inside over 5 repeats, {m['inside']:.1f} ms inside for a first image, "
            f"{m['outside']:.1f} ms of wall time outside (a process with the image less one without), "
            f"libdeflate alone {m['inflate']:.1f} ms.")


def memory(command, path, bars, args):
    progress("memory")
    idle = statistics.median(command.peak_mb([command.binary, "--version"]) for _ in range(args.rounds))
    for jobs in ("1", "2"):
        job = command.mesh([path], command.output, None, "--jobs", jobs)
        peak = statistics.median(command.peak_mb(job) for _ in range(args.rounds))
        what = f"peak memory above an idle process ({idle:.1f} MB), {path.stem}, --jobs {jobs}"
        bars.at_most(what, None, peak, peak - idle, 32, "MB")


def two_cores(command, path, bars, args, folder):
    """Two images at once against one after the other; the same picture twice, so that neither core waits."""
    progress("two cores")
    twins = [folder / "first.png", folder / "second.png"]
    for twin in twins:
        shutil.copy(path, twin)  # a link would be the same image named twice
    output = folder / "twins"
    output.mkdir()
    runs = [{jobs: command.wall_ms(command.mesh(twins, output, None, "--jobs", jobs)) for jobs in ("1", "2")}
            for _ in range(2 * args.rounds)]
    m = medians(runs)
    bars.at_least("two images on two cores, photo-4096: throughput of --jobs 2", m["1"], m["2"], m["1"] / m["2"], 1.8)


def smallest_angle(vertices, triangles):
    """Degrees."""
    p = np.asarray(vertices, np.float64)[np.asarray(triangles)]
    sides = [p[:, (i + 1) % 3] - p[:, i] for i in range(3)]
    angles = []
    for i in range(3):
        a, b = sides[i], -sides[i - 1]
        angles.append(np.arctan2(np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]), (a * b).sum(1)).min())
    return float(np.degrees(min(angles)))


def refinement(command, folder, bars, args):
    """The triangulate stage against Triangle "pa" alone at the same maximum area."""
    cases = [
        ("photo-2048", {"internal_vertex_density": 12}), ("photo-2048", {"internal_vertex_density": 84}),
        ("photo-4096", {"internal_vertex_density": 31, "density_scaling_factor": 10000}),
        ("photo-4096", FINEST), ("opaque-4096", FINEST),
    ]
    rows = []
    for name, density in cases:
        path, parameters = folder / f"{name}.png", {"detail_factor": 0.05} | density
        progress(f"refinement {name} {density}")
        alpha, p = reference.alpha_plane(path), reference.DEFAULTS | parameters
        outline = reference.outline(alpha, p)
        area = reference.max_triangle_area(alpha.shape[1], alpha.shape[0], p)
        runs = []
        for _ in range(args.rounds):
            ours = command.stages(path, parameters, 1)["triangulate"]
            start = time.perf_counter()
            vertices, triangles = reference.triangulate(outline.points, f"pa{area:.10f}")
            runs.append({"ours": ours, "theirs": (time.perf_counter() - start) * 1e3})
        m, theirs = medians(runs), len(triangles)
        mesh = json.loads(pathlib.Path(command.output).read_text())
        ours = len(mesh["triangles"])
        ratio = m["theirs"] / m["ours"]
        bars.at_least(f"refinement, {theirs:,} triangles by Triangle", m["theirs"], m["ours"], ratio, 2.4)
        per = [m["theirs"] / theirs * 1e6, m["ours"] / ours * 1e6]
        angles = [smallest_angle(vertices, triangles), smallest_angle(mesh["vertices"], mesh["triangles"])]
        rows.append(f"| {name} | {area:.4g} | {theirs:,} | {ours:,} | {per[0]:.0f} | {per[1]:.0f} | "
                    f"{angles[0]:.3f} | {angles[1]:.1f} |")
    return rows


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{model}, {os.cpu_count()} cores"


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--binary", type=pathlib.Path, default=reference.PROJECT / "target/release/spinelift")
    args.add_argument("--images", type=pathlib.Path, default=reference.PROJECT / "target/bench-images",
                      help="made by images.py where missing (default target/bench-images)")
    args.add_argument("--rounds", type=int, default=7, help="times that ours and theirs alternate (default 7)")
    args.add_argument("--repeat", type=int, default=3, help="repeats of ours within a round (default 3)")
    args = args.parse_args()
    cv2.setNumThreads(1)
    images.generate(args.images, [512, 2048, 4096])
    bars = Bars()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        command = Command(args.binary, folder)
        stage_rows = end_to_end(command, args.images, bars, args)
        sprites(command, bars, args)
        agreement = against_inflate(command, args.images / "photo-4096.png", bars, args)
        memory(command, args.images / "photo-4096.png", bars, args)
        two_cores(command, args.images / "photo-4096.png", bars, args, folder)
        refined_rows = refinement(command, args.images, bars, args)

    python = platform.python_version()
    versions = f"OpenCV {cv2.__version__}, deflate {deflate.__version__} (libdeflate), Python {python}"
    print(f"{datetime.date.today()} · {machine()} · {versions} · "
          f"`python3 benches/compare.py --rounds {args.rounds} --repeat {args.repeat}`\n\n## Bars\n")
    bars.print()
    print(f"\n{agreement}\n\n## Stages\n")
    print("SpineLift's milliseconds; in brackets how many times as long OpenCV + Triangle takes.\n")
    print("| image | " + " | ".join(STAGES) + " |\n|---" + "|---" * len(STAGES) + "|")
    print("\n".join(stage_rows))
    print("\n## Refinement\n\nTriangle, then SpineLift; the angle is the smallest of the mesh, in degrees.\n")
    print("| image | maximum area, px2 | triangles | | ns a triangle | | angle | |\n|---|---|---|---|---|---|---|---|")
    print("\n".join(refined_rows))


if __name__ == "__main__":
    main()
