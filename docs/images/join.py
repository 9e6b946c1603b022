"""Joins drawings side by side under their captions, small enough for a page.

python3 join.py OUT.png HEIGHT X,Y,SIDE DRAWING.png CAPTION [DRAWING.png CAPTION]...

X, Y and SIDE cut a square out of each drawing, in percent of its width and height; 0,0,100 is all of it. Needs Pillow. Colours are reduced to a palette: flat art loses nothing that is seen, and the file shrinks to a third.
"""

import sys

from PIL import Image, ImageDraw, ImageFont

GAP_PX = 8
CAPTION_PX = 24
COLOURS = 80
PAGE = (255, 255, 255)
INK = (40, 40, 40)


def panel(path, height, cut):
    drawing = Image.open(path).convert("RGB")
    left, top, side = (float(share) / 100 for share in cut.split(","))
    (full_width, full_height) = drawing.size
    drawing = drawing.crop(
        (
            round(left * full_width),
            round(top * full_height),
            round((left + side) * full_width),
            round((top + side) * full_height),
        )
    )
    width = round(drawing.width * height / drawing.height)
    return drawing.resize((width, height), Image.Resampling.LANCZOS)


def join(panels, captions):
    caption_px = CAPTION_PX if any(captions) else 0
    width = sum(drawing.width for drawing in panels) + GAP_PX * (len(panels) - 1)
    page = Image.new("RGB", (width, panels[0].height + caption_px), PAGE)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=15)
    x = 0
    for drawing, caption in zip(panels, captions):
        pen.text((x + 2, 3), caption, fill=INK, font=font)
        page.paste(drawing, (x, caption_px))
        x += drawing.width + GAP_PX
    return page


def main():
    out, height, cut, *rest = sys.argv[1:]
    page = join([panel(path, int(height), cut) for path in rest[::2]], rest[1::2])
    page.quantize(COLOURS, kmeans=3, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    main()
