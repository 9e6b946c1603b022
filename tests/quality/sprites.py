"""Images of a corpus: their alpha, their islands and holes, and which category each belongs to."""
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SUFFIXES = {".png", ".webp", ".jpg", ".jpeg", ".gif", ".bmp"}
SMALLEST_FEATURE_PX = 16  # islands and holes below this are specks: they need not be told apart
RIG_PARTS = ("rigpart-", "limb-")  # how the names of parts of a rigged character begin


@dataclass
class Sprite:
    """One image. Masks are [row, column], true inside."""

    path: Path
    opaque: np.ndarray  # alpha is at least the threshold
    islands: np.ndarray = field(init=False)  # number of each pixel's 8-connected island, 0 outside
    island_px: np.ndarray = field(init=False)  # size of each; of number 0 it is 0
    holes: int = field(init=False)  # 4-connected clear regions that do not reach the border

    def __post_init__(self):
        count, self.islands, stats, _ = cv2.connectedComponentsWithStats(self.opaque.astype(np.uint8), connectivity=8)
        self.island_px = np.where(np.arange(count) == 0, 0, stats[:, cv2.CC_STAT_AREA])
        count, regions, stats, _ = cv2.connectedComponentsWithStats((~self.opaque).astype(np.uint8), connectivity=4)
        rim = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
        inner = np.setdiff1d(np.arange(1, count), rim)
        self.holes = int((stats[inner, cv2.CC_STAT_AREA] >= SMALLEST_FEATURE_PX).sum())

    @property
    def name(self):
        return self.path.name

    @property
    def large_islands(self):
        """Numbers of the islands that are no specks."""
        return np.flatnonzero(self.island_px >= SMALLEST_FEATURE_PX)

    @property
    def is_single(self):
        return len(self.large_islands) == 1 and self.holes == 0

    @property
    def is_rig_part(self):
        return self.name.startswith(RIG_PARTS)


def alpha_plane(path):
    """8 bits of alpha a pixel; 255 everywhere in an image without transparency."""
    with Image.open(path) as image:
        if "A" not in image.getbands() and "transparency" not in image.info:
            return np.full((image.height, image.width), 255, np.uint8)
        return np.asarray(image.convert("RGBA"))[:, :, 3]


def read(folders, threshold):
    """The sprites of the folders by name, without those that have nothing opaque."""
    paths = [path for folder in folders for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES]
    sprites = (Sprite(path, alpha_plane(path) >= threshold) for path in sorted(paths, key=lambda path: path.name))
    return [sprite for sprite in sprites if sprite.opaque.any()]
