#!/usr/bin/env python3
"""Makes the images of the benchmarks, the same ones every time.

    pip install opencv-python-headless==5.0.0.93 numpy==2.4.6 pillow==13.0.0
    python3 benches/images.py FOLDER [--sizes 512 1024 2048 4096]

    photo-N.png   noise at every scale, so that it inflates like a photograph, under a soft wavy alpha
    flat-N.png    four discs of flat colour: long runs, inflates hundreds of times
    ragged-N.png  flat colour under an alpha frayed to single pixels: the longest contour
    hair-N.png    hundreds of soft strands around a ball: thin parts, holes, islands
    opaque-N.png  a photograph with an alpha channel that says nothing
"""
import argparse
import pathlib

import cv2
import numpy as np
from PIL import Image

SEED = 7


def texture(n):
    """Octaves of noise down to the pixel; the last keeps it from compressing better than a photograph."""
    rng = np.random.default_rng(SEED)
    image = np.zeros((n, n, 3), np.float32)
    for octave in range(1, 8):
        cells = min(2 ** (octave + 1), n)
        noise = rng.standard_normal((cells, cells, 3)).astype(np.float32)
        image += cv2.resize(noise, (n, n), interpolation=cv2.INTER_CUBIC) * (60 / 1.6**octave)
    image += rng.standard_normal((n, n, 3)) * 2.5
    return np.clip(image + 128, 0, 255).astype(np.uint8)


def photo(n):
    t = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    r = n * 0.36 * (1 + 0.18 * np.sin(5 * t) + 0.08 * np.sin(13 * t + 1) + 0.03 * np.sin(41 * t))
    points = np.stack([n / 2 + r * np.cos(t), n / 2 + r * np.sin(t)], 1).round().astype(np.int32)
    alpha = np.zeros((n, n), np.uint8)
    cv2.fillPoly(alpha, [points], 255)
    alpha = cv2.GaussianBlur(alpha, (0, 0), n / 600 + 0.5)
    colour = texture(n)
    colour[alpha == 0] = 0  # as editors save it
    return np.dstack([colour, alpha])


def flat(n):
    image, subpixels = np.zeros((n, n, 4), np.uint8), 16
    discs = [
        (0.5, 0.5, 0.4, (200, 80, 40, 255)),
        (0.35, 0.4, 0.1, (255, 255, 255, 255)),
        (0.65, 0.4, 0.1, (255, 255, 255, 255)),
        (0.5, 0.65, 0.15, (30, 30, 60, 255)),
    ]
    for x, y, radius, colour in discs:
        centre = int(x * n * subpixels), int(y * n * subpixels)
        cv2.circle(image, centre, int(radius * n * subpixels), colour, -1, cv2.LINE_AA, 4)
    return image


def ragged(n):
    y, x = np.mgrid[0:n, 0:n].astype(np.float32) / n - 0.5
    fray = np.random.default_rng(SEED).random((n, n), np.float32)
    image = np.zeros((n, n, 4), np.uint8)
    image[np.hypot(x, y) < 0.45 - 0.06 * fray] = (90, 140, 60, 255)
    return image


def hair(n):
    rng, alpha, subpixels = np.random.default_rng(SEED), np.zeros((n, n), np.uint8), 16
    cv2.circle(alpha, (n // 2, n // 2), n // 5, 255, -1)
    along = np.linspace(0, 1, 24)
    angles, bends, lengths = np.arange(400) * 2 * np.pi / 400, rng.normal(0, 0.5, 400), rng.uniform(0.28, 0.45, 400)
    for angle, bend, length in zip(angles, bends, lengths):
        radius, direction = n * (0.18 + (length - 0.18) * along), angle + bend * along**2
        points = np.stack([n / 2 + radius * np.cos(direction), n / 2 + radius * np.sin(direction)], 1)
        strand = (points * subpixels).round().astype(np.int32)
        cv2.polylines(alpha, [strand], False, 255, max(1, n // 700), cv2.LINE_AA, 4)
    colour = texture(n)
    colour[alpha == 0] = 0
    return np.dstack([colour, alpha])


def opaque(n):
    return np.dstack([texture(n), np.full((n, n), 255, np.uint8)])


KINDS = [photo, flat, ragged, hair, opaque]


def generate(folder, sizes):
    """Makes what is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in sizes:
        for kind in KINDS:
            path = folder / f"{kind.__name__}-{n}.png"
            if not path.exists():
                Image.fromarray(kind(n)).save(path)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("folder", type=pathlib.Path)
    args.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048, 4096], metavar="N")
    args = args.parse_args()
    generate(args.folder, args.sizes)


if __name__ == "__main__":
    main()
