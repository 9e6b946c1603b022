"""Panels: a sprite with each method's outline over it, side by side."""
import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

BUDGET = 16
# One fact each: limbs, a concave shape, thin spokes, a hole, several islands, soft edges.
TELLING = ("limbs-octopus-512.png", "concave-snake-1024.png", "thin-spider-legs-512.png", "hole-ring-512.png",
           "islands-raincloud-512.png", "limb-hand-512.png")
SIDE, GAP, CAPTION, COLUMNS = 220, 8, 44, 4
BACKGROUND, CHECK, INK, OUTLINE, LOSS = (250, 250, 250), (226, 226, 230), (30, 30, 30), (220, 20, 90), (200, 90, 0)
LARGEST_BYTES = 150_000


def draw(corpus, meshes, folder):
    """A PNG a telling sprite that is in the corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    methods = list(dict.fromkeys(method for method, _, _ in meshes))
    for sprite in corpus:
        if sprite.name in TELLING:
            tiles = [tile(sprite, method, meshes[method, sprite.name, BUDGET]) for method in methods]
            columns, rows = min(len(tiles), COLUMNS), -(-len(tiles) // COLUMNS)
            right, down = SIDE + GAP, SIDE + CAPTION + GAP
            sheet = Image.new("RGB", (columns * right + GAP, rows * down + GAP), (255, 255, 255))
            for i, picture in enumerate(tiles):
                sheet.paste(picture, (GAP + i % COLUMNS * right, GAP + i // COLUMNS * down))
            save(sheet, folder / f"quality-{sprite.path.stem}.png")


def tile(sprite, method, mesh):
    """The sprite over a chessboard, the outline, and a caption."""
    height, width = sprite.opaque.shape
    scale = (SIDE - 2 * GAP) / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    art = Image.open(sprite.path).convert("RGBA")
    small = art.resize(size, Image.LANCZOS)
    board = chessboard(size)
    board.paste(small, (0, 0), small)
    picture = Image.new("RGB", (SIDE, SIDE + CAPTION), BACKGROUND)
    corner = ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2)
    picture.paste(board, corner)
    pen = ImageDraw.Draw(picture)
    fine = Image.new("L", (4 * SIDE, 4 * SIDE), 0)  # drawn large and shrunk: smooth lines
    if mesh:
        lines = ImageDraw.Draw(fine)
        for ring in mesh["rings"]:
            points = [(4 * (corner[0] + x * scale), 4 * (corner[1] + y * scale)) for x, y in ring]
            lines.line(points + points[:1], fill=255, width=7, joint="curve")
            for x, y in points:
                lines.ellipse((x - 11, y - 11, x + 11, y + 11), fill=255)
    ink = Image.new("RGB", (SIDE, SIDE), OUTLINE)
    picture.paste(ink, (0, 0), fine.resize((SIDE, SIDE), Image.BOX))
    font = ImageFont.load_default(12)
    second = "no mesh"
    if mesh:
        second = f"{mesh['vertices']} vertices, IoU {mesh['iou']:.3f}, " + (
            f"{mesh['lost_px']} px lost" if mesh["lost_px"] else "nothing lost")
    pen.text((GAP, SIDE + 4), method, fill=INK, font=font)
    pen.text((GAP, SIDE + 22), second, fill=LOSS if mesh is None or mesh["lost_px"] else INK, font=font)
    return picture


def chessboard(size):
    """What shows where a sprite is clear."""
    x, y = np.meshgrid(np.arange(size[0]) // 8, np.arange(size[1]) // 8)
    return Image.fromarray(np.where(((x + y) % 2 == 0)[:, :, None], BACKGROUND, CHECK).astype(np.uint8))


def save(picture, path):
    """As few colours as it takes to stay small."""
    for colours in (128, 64, 32):
        data = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(data, "PNG", optimize=True)
        if len(data.getvalue()) <= LARGEST_BYTES:
            break
    path.write_bytes(data.getvalue())
