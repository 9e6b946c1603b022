"""Makes testdata/psd: layered files by three writers, what is in them, and the pictures that they show.

    python3 -m venv venv && venv/bin/pip install psd-tools==1.26.0 pytoshop==1.2.1 numpy==2.4.6 six==1.17.0 \
        scipy==1.17.1 aggdraw==1.4.1
    venv/bin/python tests/psd/make.py            (with ImageMagick 6 or 7 for magick.psd)

Each document is described here as a tree. From the tree come the file (through psd-tools, pytoshop or ImageMagick), a
list of its visible layers (NAME.json: pixels as the CRC-32 of their straight RGBA) and its picture. That is composed
twice, by psd-tools from the file and with numpy in this file from the tree; the two must agree to two levels. NAME.png is
psd-tools' picture, but where DIFFERS says why the two do not agree, numpy's.
"""

import copy
import json
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from psd_tools import PSDImage
from psd_tools.composite import composite
from psd_tools.constants import BlendMode, Compression

HERE = Path(__file__).resolve().parent.parent.parent / "testdata" / "psd"
WIDTH, HEIGHT = 48, 40

# psd-tools lets a clipped layer count more where its base is half transparent; other programs draw it atop its base.
DIFFERS = {"clipped", "clipped_group"}


# Pictures: straight RGBA as float in 0 to 1, softly drawn so that edges are half transparent.
def disc(size, colour, soft=1.5, shift=0.0):
    y, x = np.mgrid[0:size, 0:size] + 0.5 - size / 2
    alpha = np.clip((size / 2 - 1 - np.hypot(x - shift, y)) / soft + 0.5, 0, 1)
    shade = 0.75 + 0.25 * (x + y) / size
    return np.dstack([np.clip(c * shade, 0, 1) for c in colour] + [alpha])


def ramp(width, height, colour):
    across = np.linspace(0, 1, width)[None, :].repeat(height, 0)
    return np.dstack([np.full((height, width), c) for c in colour] + [across])


def flat(width, height, colour, alpha=1.0):
    return np.dstack([np.full((height, width), float(c)) for c in (*colour, alpha)])


RED, GREEN, BLUE, GOLD = (0.9, 0.2, 0.1), (0.1, 0.7, 0.3), (0.2, 0.3, 0.95), (0.95, 0.8, 0.2)


def layer(name, picture, x=0, y=0, **more):
    return dict(name=name, picture=picture, x=x, y=y, **more)


def group(name, *children, **more):
    return dict(name=name, children=list(children), **more)


def mask(picture, x, y, default=0, disabled=False, density=None):
    return dict(picture=picture, x=x, y=y, default=default, disabled=disabled, density=density)


def spot(size):
    return disc(size, (1, 1, 1), soft=6.0)[..., 3]


def character():
    return [
        layer("Hintergrund", flat(WIDTH, HEIGHT, (0.85, 0.9, 1.0)), 0, 0),
        group(
            "Körper",
            layer("arm", disc(17, RED), -6, 12),
            group("Kopf 頭", layer("face", disc(20, GOLD), 14, -4, opacity=200),
                  layer("öga 👁", disc(7, BLUE), 20, 3, fill=128)),
            layer("glow", disc(21, GOLD), 20, 14, blend=BlendMode.LINEAR_DODGE, opacity=0),
            layer("off", disc(9, BLUE), 3, 3, visible=False),
        ),
        group("hidden", layer("never", disc(11, GREEN), 5, 5), visible=False),
        layer("foot", disc(15, GREEN), 39, 31),
        layer("beyond", disc(9, GREEN), 60, 50),
        layer("nothing", flat(6, 6, RED, 0.0), 8, 8),
    ]


def masked():
    return [
        layer("plain", flat(30, 24, BLUE), 4, 4, mask=mask(spot(20), 10, 8)),
        layer("white outside", disc(24, RED), 20, 12, mask=mask(1 - spot(9), 28, 20, default=255)),
        layer("disabled", disc(13, GREEN), 2, 24, mask=mask(spot(5), 4, 26, disabled=True)),
        layer("half dense", disc(14, GOLD), 30, 1, mask=mask(spot(8), 33, 4, density=128)),
        layer("far", disc(12, GOLD), 1, 1, mask=mask(spot(9), -5, -3, default=255)),
    ]


def clipped():
    return [
        layer("back", flat(WIDTH, HEIGHT, (0.3, 0.3, 0.3)), 0, 0, opacity=90),
        layer("base", disc(28, RED, soft=4.0), 6, 6, opacity=230),
        layer("shade", ramp(30, 16, BLUE), 4, 14, clip=True),
        layer("light", disc(12, GOLD, soft=5.0), 20, 8, clip=True, opacity=160),
        layer("front", disc(11, GREEN), 34, 26),
        layer("hidden base", disc(12, GREEN), 0, 28, visible=False),
        layer("clipped to hidden", flat(12, 12, GOLD), 0, 28, clip=True),
    ]


def clipped_hard():
    return [
        layer("base", disc(30, RED), 6, 4),
        layer("stripe", flat(40, 9, BLUE), 2, 12, clip=True),
        layer("other", flat(8, 8, GREEN), 20, 18, clip=True, opacity=128),
    ]


def shared():
    return [
        layer("back", ramp(WIDTH, HEIGHT, (0.2, 0.4, 0.3)), 0, 0),
        group("half", layer("low", disc(24, RED), 2, 4), layer("high", disc(20, BLUE), 14, 8), opacity=128),
        group("masked", layer("low", disc(18, GOLD), 22, 18),
              group("inner", layer("high", disc(12, GREEN), 30, 22), layer("top", disc(8, RED), 30, 28),
                    opacity=180, blend=BlendMode.NORMAL),
              mask=mask(spot(30), 16, 12), blend=BlendMode.NORMAL),
    ]


def clipped_group():
    return [
        group("base", layer("left", disc(20, RED), 2, 8), layer("right", disc(20, GREEN), 14, 12),
              blend=BlendMode.NORMAL, opacity=200),
        layer("band", flat(40, 8, BLUE), 0, 16, clip=True, opacity=150),
    ]


def names():
    """What artists call layers and file systems do not take."""
    return [
        layer("arm", disc(15, RED), 1, 1),
        layer("Arm", disc(13, GREEN), 17, 1),
        layer("CON", disc(11, BLUE), 33, 1),
        layer("eye: left?", disc(12, GOLD), 1, 18),
        group("arm.png", layer("hand. ", disc(11, RED), 14, 18), layer("..", disc(9, GREEN), 26, 18)),
        layer("../../up", disc(8, BLUE), 36, 18),
        layer("a\nb\\c", disc(8, GOLD), 1, 31),
        layer("size:1,1", disc(7, RED), 10, 31),
    ]


def plain():
    return [layer("low", disc(26, RED, soft=5.0), 3, 2), layer("high", disc(22, BLUE), 20, 14, opacity=180)]


# What the descriptions mean: composed with numpy, in floating point, as programs for layered pictures do.
def place(picture, x, y, outside):
    canvas = np.full((HEIGHT, WIDTH) + picture.shape[2:], outside, float)
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + picture.shape[1], WIDTH), min(y + picture.shape[0], HEIGHT)
    if x1 > x0 and y1 > y0:
        canvas[y0:y1, x0:x1] = picture[y0 - y : y1 - y, x0 - x : x1 - x]
    return canvas


def quantise(values, depth):
    most = 2**depth - 1
    return np.round(values * most) / most


def shown(node, depth):
    found = node.get("mask")
    if not found or found["disabled"]:
        return np.ones((HEIGHT, WIDTH))
    values = place(quantise(found["picture"], depth), found["x"], found["y"], found["default"] / 255)
    density = 1 if found["density"] is None else found["density"] / 255
    return 1 - density * (1 - values)


def own(node, depth):
    """Premultiplied colours and alpha of a node by itself, its opacity and mask apart."""
    if "children" in node:
        return compose(node["children"], depth)
    canvas = place(quantise(node["picture"], depth), node["x"], node["y"], 0.0)
    return canvas[..., :3] * canvas[..., 3:], canvas[..., 3]


def compose(nodes, depth):
    colour, alpha = np.zeros((HEIGHT, WIDTH, 3)), np.zeros((HEIGHT, WIDTH))
    at = 0
    while at < len(nodes):
        node, at = nodes[at], at + 1
        atop = []
        while at < len(nodes) and nodes[at].get("clip"):
            atop.append(nodes[at])
            at += 1
        if not node.get("visible", True):
            continue
        c, a = own(node, depth)
        for other in atop:
            if other.get("visible", True):
                oc, oa = own(other, depth)
                share = shown(other, depth) * strength(other)
                oc, oa = oc * share[..., None], oa * share
                c = oc * a[..., None] + c * (1 - oa)[..., None]
        share = shown(node, depth) * strength(node)
        c, a = c * share[..., None], a * share
        colour = c + colour * (1 - a)[..., None]
        alpha = a + alpha * (1 - a)
    return colour, alpha


def strength(node):
    return node.get("opacity", 255) / 255 * node.get("fill", 255) / 255


def picture_of(nodes, depth):
    colour, alpha = compose(nodes, depth)
    straight = np.divide(colour, alpha[..., None], out=np.zeros_like(colour), where=alpha[..., None] > 0)
    return Image.fromarray(np.round(np.dstack([straight, alpha]) * 255).astype(np.uint8), "RGBA")


# The lists that the tests compare with.
def listed(nodes, depth, groups=(), above=1.0, is_shared=False, bases=()):
    rows, base = [], None
    for at, node in enumerate(nodes):
        if not node.get("clip"):
            base = node
        clips_to = base if node.get("clip") else None
        if not node.get("visible", True) or (clips_to and not clips_to.get("visible", True)):
            continue
        opacity = above * strength(node) * (strength(clips_to) if clips_to else 1)
        is_base = not node.get("clip") and at + 1 < len(nodes) and nodes[at + 1].get("clip", False)
        apart = is_shared or clips_to is not None or is_base
        if "children" in node:
            apart = apart or strength(node) < 1 or "mask" in node
            rows += listed(node["children"], depth, (*groups, node["name"]), opacity, apart)
            continue
        if opacity == 0 or not node["picture"][..., 3].any():
            continue
        pixels = np.round(quantise(node["picture"], depth) * 255).astype(np.uint8)
        found = node.get("mask")
        if found and not found["disabled"]:
            pixels[..., 3] = masked_alpha(node, found, pixels[..., 3], depth)
        rows.append(dict(
            name=node["name"], groups=list(groups), x=node["x"], y=node["y"], width=pixels.shape[1],
            height=pixels.shape[0], opacity=opacity, blend=node.get("blend", BlendMode.NORMAL).name.lower(),
            has_mask=bool(found and not found["disabled"]), is_clipped=bool(node.get("clip")),
            crc=None if apart else zlib.crc32(pixels.tobytes()),
        ))
    return rows


def masked_alpha(node, found, alpha, depth):
    values = np.full(alpha.shape, found["default"], int)
    picture = np.round(quantise(found["picture"], depth) * 255).astype(int)
    for y in range(alpha.shape[0]):
        for x in range(alpha.shape[1]):
            row, column = y + node["y"] - found["y"], x + node["x"] - found["x"]
            if 0 <= row < picture.shape[0] and 0 <= column < picture.shape[1]:
                values[y, x] = picture[row, column]
    if found["density"] is not None:
        values = 255 - np.floor((255 - values) * found["density"] / 255 + 0.5).astype(int)
    return np.floor(alpha * values / 255 + 0.5).astype(np.uint8)


# The writers.
def by_psd_tools(nodes, path, mode="RGB", depth=8, compression=Compression.RLE, version=1):
    document = PSDImage.new(mode, (WIDTH, HEIGHT), depth=depth, compression=Compression.RLE)
    document._record.header.version = version

    fill_psd_tools(document, document, nodes, mode, depth, compression)
    document.save(path)


def fill_psd_tools(document, parent, nodes, mode, depth, compression):
    for node in nodes:
        if "children" in node:
            made = parent.create_group(name="group", blend_mode=node.get("blend", BlendMode.PASS_THROUGH))
            # Its two records share one list of channels, which would get a mask twice.
            made._bounding_channels = copy.deepcopy(made._channels)
            fill_psd_tools(document, made, node["children"], mode, depth, compression)
        else:
            picture = np.round(node["picture"] * (2**depth - 1)).astype(np.uint8 if depth == 8 else np.uint16)
            if mode == "L":
                picture = picture[..., [0, 3]]
            made = parent.create_pixel_layer_from_array(
                picture, name="layer", top=node["y"], left=node["x"], compression=compression)
            made.blend_mode = node.get("blend", BlendMode.NORMAL)
            if "fill" in node:
                made.fill_opacity = node["fill"]
        made.name = node["name"]
        made.opacity = node.get("opacity", 255)
        made.visible = node.get("visible", True)
        if node.get("clip"):
            made.clipping = True
        if "mask" in node:
            mask_psd_tools(made, node["mask"], compression)


def mask_psd_tools(made, found, compression):
    from psd_tools.psd.layer_and_mask import MaskParameters

    values = Image.fromarray(np.round(found["picture"] * 255).astype(np.uint8), "L")
    made.create_mask(values, top=found["y"], left=found["x"], compression=compression)
    data = made._record.mask_data
    data.background_color = found["default"]
    data.flags.mask_disabled = found["disabled"]
    if found["density"] is not None:
        data.flags.parameters_applied = True
        data.parameters = MaskParameters(user_mask_density=found["density"])


def by_pytoshop(nodes, path, depth, compression, version):
    from pytoshop import enums
    from pytoshop.user import nested_layers

    def made(node):
        if "children" in node:
            return nested_layers.Group(
                name=node["name"], visible=node.get("visible", True), opacity=node.get("opacity", 255),
                blend_mode=enums.BlendMode.pass_through, layers=[made(child) for child in reversed(node["children"])])
        picture = np.round(node["picture"] * (2**depth - 1)).astype(np.uint8 if depth == 8 else np.uint16)
        channels = {number: picture[..., place] for number, place in [(0, 0), (1, 1), (2, 2), (-1, 3)]}
        return nested_layers.Image(
            name=node["name"], visible=node.get("visible", True), opacity=node.get("opacity", 255),
            top=node["y"], left=node["x"], channels=channels, color_mode=enums.ColorMode.rgb)

    file = nested_layers.nested_layers_to_psd(
        [made(node) for node in reversed(nodes)], enums.ColorMode.rgb, version=getattr(enums.Version, version),
        compression=getattr(enums.Compression, compression), depth=getattr(enums.ColorDepth, f"depth{depth}"),
        size=(WIDTH, HEIGHT))
    with open(path, "wb") as out:
        file.write(out)


def by_magick(nodes, path):
    with tempfile.TemporaryDirectory() as folder:
        arguments = [shutil.which("magick") or shutil.which("convert"), "-size", f"{WIDTH}x{HEIGHT}", "xc:rgba(1,2,3,0)"]
        for number, node in enumerate(nodes):
            file = f"{folder}/{number}.png"
            Image.fromarray(np.round(node["picture"] * 255).astype(np.uint8), "RGBA").save(file)
            arguments += ["(", file, "-set", "label", node["name"], "-repage", f"+{node['x']}+{node['y']}", ")"]
        subprocess.run([*arguments, "-depth", "8", "-type", "TrueColorAlpha", "-compress", "RLE", path], check=True)


DOCUMENTS = {
    # name: description, bits, writer, what it is told
    "character.psd": (character, 8, by_psd_tools, {}),
    "masked.psd": (masked, 8, by_psd_tools, dict(compression=Compression.ZIP)),
    "clipped.psd": (clipped, 8, by_psd_tools, dict(compression=Compression.ZIP)),
    "clipped_hard.psd": (clipped_hard, 8, by_psd_tools, {}),
    "clipped_group.psd": (clipped_group, 8, by_psd_tools, {}),
    "shared.psd": (shared, 8, by_psd_tools, dict(compression=Compression.ZIP_WITH_PREDICTION)),
    "raw.psd": (plain, 8, by_psd_tools, dict(compression=Compression.RAW)),
    "grey.psd": (plain, 8, by_psd_tools, dict(mode="L")),
    "deep.psd": (plain, 16, by_psd_tools, dict(depth=16, compression=Compression.ZIP_WITH_PREDICTION)),
    "deep_runs.psb": (plain, 16, by_psd_tools, dict(depth=16, version=2)),
    "large.psb": (character, 8, by_psd_tools, dict(version=2, compression=Compression.ZIP)),
    "large_deep.psb": (plain, 16, by_psd_tools, dict(depth=16, version=2, compression=Compression.ZIP)),
    "pytoshop.psd": (plain, 8, by_pytoshop, dict(depth=8, compression="zip", version="version_1")),
    "pytoshop_deep.psb": (plain, 16, by_pytoshop, dict(depth=16, compression="zip", version="version_2")),
    "names.psd": (names, 8, by_psd_tools, {}),
    "magick.psd": (plain, 8, by_magick, {}),
}


def composed_by_psd_tools(path):
    """The layers as psd-tools composes them; `PSDImage.composite` would take the merged picture where it may."""
    colour, _, alpha = composite(PSDImage.open(path))
    if colour.shape[2] == 1:
        colour = colour.repeat(3, 2)
    return Image.fromarray(np.round(np.dstack([colour, alpha]) * 255).astype(np.uint8), "RGBA")


def premultiplied(image):
    values = np.asarray(image.convert("RGBA"), float)
    return np.dstack([values[..., :3] * values[..., 3:] / 255, values[..., 3]])


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    for name, (describe, depth, write, told) in DOCUMENTS.items():
        path, nodes = HERE / name, describe()
        if write is by_magick:
            nodes = [node | dict(opacity=255) for node in nodes]
        write(nodes, path, **(dict(told) if write is not by_psd_tools else dict(depth=depth) | told))
        if told.get("mode") == "L":
            nodes = [node | dict(picture=node["picture"][..., [0, 0, 0, 3]]) for node in nodes]
        reference = picture_of(nodes, depth)
        composed = composed_by_psd_tools(path)
        off = np.abs(premultiplied(reference) - premultiplied(composed)).max()
        print(f"{name}: {path.stat().st_size} bytes, psd-tools differs by {off:.2f} levels")
        if off > 2 and path.stem not in DIFFERS:
            sys.exit(f"{name}: the two pictures differ")
        (reference if path.stem in DIFFERS else composed).save(HERE / f"{name}.png", optimize=True)
        rows = listed(nodes, depth)
        text = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (HERE / f"{name}.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
