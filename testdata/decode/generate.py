"""Writes the images of this folder and expected.txt: what Pillow reads from them.

A line of expected.txt: file, width, height, CRC-32 of the alpha plane, CRC-32 of the RGBA pixels ("-" where decoders
differ in colour by right: lossy formats, 16-bit grey, colours under alpha 0). Alpha is that of numpy.array(Image.open(file).convert("RGBA"))[:, :, 3],
except for the files named in SPECIFICATION, where Pillow drops or rounds what the PNG specification says; there
it is computed from the samples. Run it in this folder; needs Pillow 13 and numpy.
"""
import io
import struct
import zlib

import numpy as np
from PIL import Image

rng = np.random.default_rng(11)
expected = {}
SPECIFICATION = {}


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def pack(row, depth):
    if depth == 16:
        return row.astype(">u2").tobytes()
    if depth == 8:
        return row.astype(np.uint8).tobytes()
    bits = "".join(format(int(v), f"0{depth}b") for v in row)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def filtered(rows, pixel):
    out, above = [], None
    for row in rows:
        row = np.frombuffer(row, np.uint8).astype(int)
        above = np.zeros(len(row), int) if above is None or len(above) != len(row) else above
        left = np.concatenate([np.zeros(pixel, int), row])[: len(row)]
        corner = np.concatenate([np.zeros(pixel, int), above])[: len(row)]
        kind = int(rng.integers(5))
        p = left + above - corner
        pa, pb, pc = abs(p - left), abs(p - above), abs(p - corner)
        paeth = np.where((pa <= pb) & (pa <= pc), left, np.where(pb <= pc, above, corner))
        guess = [0 * row, left, above, (left + above) // 2, paeth][kind]
        out.append(bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes())
        above = row
    return b"".join(out)


def png(samples, colour, depth, interlaced=False, before=b"", idat=1000):
    height, width = samples.shape[:2]
    pixel = max(1, SAMPLES[colour] * depth // 8)
    data = b""
    for x, y, dx, dy in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        part = samples[y::dy, x::dx]
        if part.size:
            data += filtered([pack(row.reshape(-1), depth) for row in part], pixel)
    data = zlib.compress(data, 6)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    out += before
    for at in range(0, len(data), idat):
        out += chunk(b"IDAT", data[at : at + idat])
    return out + chunk(b"IEND", b"")


def save(name, data, specification=None):
    open(name, "wb").write(data)
    try:
        with Image.open(io.BytesIO(data)) as image:
            rgba = np.array(image.convert("RGBA"))
    except Exception as error:
        print(name, "Pillow:", error)
        rgba = None
    alpha = None if rgba is None else rgba[:, :, 3]
    if specification is not None:
        if rgba is None or not np.array_equal(alpha, specification):
            print(name, "differs from Pillow")
            SPECIFICATION[name] = True
        alpha = specification
    lossy = name.endswith(".jpg") or "lossy" in name or "blended" in name or name in SPECIFICATION or "grey_16" in name or "16bit" in name
    colours = "-" if lossy else f"{zlib.crc32(rgba.tobytes()):08x}"
    height, width = alpha.shape
    expected[name] = f"{name} {width} {height} {zlib.crc32(alpha.astype(np.uint8).tobytes()):08x} {colours}"


def picture(width, height, channels, top):
    """Soft shapes, so that filters have something to predict; with runs of equal values."""
    y, x = np.mgrid[0:height, 0:width]
    layers = []
    for c in range(channels):
        wave = np.sin(x / (5 + c)) + np.cos(y / (7 - c)) + np.hypot(x - width / 2, y - height / 2) / 9
        layers.append(np.clip((wave - wave.min()) / np.ptp(wave) * 1.6 - 0.3, 0, 1) * top)
    return np.round(np.stack(layers, -1)).astype(int)


def pngs():
    for colour, name in [(0, "grey"), (2, "rgb"), (3, "palette"), (4, "grey_alpha"), (6, "rgba")]:
        for depth in {0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]}[colour]:
            for interlaced in [False, True]:
                for trns in [False, True] if colour in (0, 2, 3) else [False]:
                    width, height = (33, 21) if depth != 8 else (83, 70)
                    top = 2**depth - 1
                    samples = picture(width, height, SAMPLES[colour], top)
                    before, spec = b"", None
                    if colour == 3:
                        before = chunk(b"PLTE", rng.integers(0, 256, (top + 1) * 3).astype(np.uint8).tobytes())
                        alphas = rng.integers(0, 256, max(1, top - 1)).astype(np.uint8)
                        if trns:
                            before += chunk(b"tRNS", alphas.tobytes())
                            table = np.concatenate([alphas, np.full(256 - len(alphas), 255)])
                            spec = table[samples[:, :, 0]]
                        else:
                            spec = np.full((height, width), 255)
                    elif trns:
                        key = samples[height // 2, width // 2]
                        before = chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
                        spec = np.where((samples == key).all(-1), 0, 255)
                    elif colour in (4, 6):
                        spec = samples[:, :, -1] >> (depth - 8)
                    else:
                        spec = np.full((height, width), 255)
                    tail = ("_trns" if trns else "") + ("_interlaced" if interlaced else "")
                    save(f"png_{name}_{depth}bit{tail}.png".replace("16bit", "16bit"), png(samples, colour, depth, interlaced, before), spec)
    one = np.array([[[200, 100, 50, 77]]])
    save("png_one_pixel_interlaced.png", png(one, 6, 8, True), one[:, :, 3])
    save("png_idat_of_one_byte.png", png(picture(20, 9, 4, 255), 6, 8, idat=1))
    frames = [Image.fromarray(picture(40, 30, 4, 255).astype(np.uint8) ^ k) for k in (0, 90, 17)]
    for name, options in [("apng_first_frame_is_default_image", {}), ("apng_default_image_stands_apart", {"default_image": True})]:
        out = io.BytesIO()
        frames[0].save(out, "PNG", save_all=True, append_images=frames[1:], duration=50, **options)
        save(name + ".png", out.getvalue())


def webps():
    rgba = Image.fromarray(picture(61, 47, 4, 255).astype(np.uint8))
    small = Image.fromarray(picture(61, 47, 3, 255).astype(np.uint8))
    for name, image, options in [
        ("webp_lossless", rgba, {"lossless": True}),
        ("webp_lossless_opaque", small, {"lossless": True}),
        ("webp_lossy_opaque", small, {"quality": 60}),
        ("webp_lossy_alpha", rgba, {"quality": 60}),
        ("webp_lossy_alpha_quantised", rgba, {"quality": 60, "alpha_quality": 40}),
        ("webp_lossy_alpha_with_metadata", rgba, {"quality": 60, "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
    ]:
        out = io.BytesIO()
        image.save(out, "WEBP", method=4, **options)
        save(name + ".webp", out.getvalue())
    frames = [Image.fromarray(picture(40, 30, 4, 255).astype(np.uint8) ^ k) for k in (0, 90)]
    for name, options in [("webp_animated_lossless", {"lossless": True}), ("webp_animated_lossy", {"quality": 50})]:
        out = io.BytesIO()
        frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], duration=50, **options)
        save(name + ".webp", out.getvalue())
    alpha_filters(rgba)
    small_first_frame()


def riff(*chunks):
    body = b"WEBP" + b"".join(n + struct.pack("<I", len(d)) + d + b"\0" * (len(d) & 1) for n, d in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def parts(data):
    out, at = [], 12
    while at < len(data):
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        out.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + (size & 1)
    return out


def alpha_filters(rgba):
    """The same picture with its alpha raw under each filter, and compressed under each."""
    out = io.BytesIO()
    rgba.save(out, "WEBP", quality=60)
    lossy = dict(parts(out.getvalue()))
    alpha = np.array(rgba)[:, :, 3].astype(int)
    for code, name in enumerate(["none", "horizontal", "vertical", "gradient"]):
        guess = np.zeros_like(alpha)
        left = np.roll(alpha, 1, 1)
        above = np.roll(alpha, 1, 0)
        corner = np.roll(above, 1, 1)
        if code:
            guess = [None, left, above, np.clip(left + above - corner, 0, 255)][code].copy()
            guess[:, 0] = np.concatenate([[0], alpha[:-1, 0]])
            guess[0, 1:] = alpha[0, :-1]
        differences = ((alpha - guess) % 256).astype(np.uint8)
        save(f"webp_lossy_alpha_raw_{name}.webp", riff((b"VP8X", lossy[b"VP8X"]), (b"ALPH", bytes([code << 2]) + differences.tobytes()), (b"VP8 ", lossy[b"VP8 "])), alpha)
        green = np.dstack([0 * differences, differences, 0 * differences])
        packed = io.BytesIO()
        Image.fromarray(green).save(packed, "WEBP", lossless=True)
        vp8l = dict(parts(packed.getvalue()))[b"VP8L"]
        save(f"webp_lossy_alpha_compressed_{name}.webp", riff((b"VP8X", lossy[b"VP8X"]), (b"ALPH", bytes([code << 2 | 1]) + vp8l[5:]), (b"VP8 ", lossy[b"VP8 "])), alpha)
    vp8x = bytearray(lossy[b"VP8X"])
    save("webp_lossy_alpha_flag_without_alpha.webp", riff((b"VP8X", bytes(vp8x)), (b"VP8 ", lossy[b"VP8 "])))
    vp8x[0] &= ~0x10
    save("webp_lossy_alpha_without_its_flag.webp", riff((b"VP8X", bytes(vp8x)), (b"ALPH", lossy[b"ALPH"]), (b"VP8 ", lossy[b"VP8 "])))


def small_first_frame():
    frame = Image.fromarray(picture(20, 16, 4, 255).astype(np.uint8))
    out = io.BytesIO()
    frame.save(out, "WEBP", lossless=True)
    vp8l = dict(parts(out.getvalue()))[b"VP8L"]

    def u24(n):
        return struct.pack("<I", n)[:3]

    for name, blend in [("blended", 0), ("replaced", 2)]:
        anmf = u24(6 // 2) + u24(8 // 2) + u24(19) + u24(15) + u24(100) + bytes([blend]) + b"VP8L" + struct.pack("<I", len(vp8l)) + vp8l + b"\0" * (len(vp8l) & 1)
        for background in (0, 0xFF3366AA):
            save(f"webp_animated_small_first_frame_{name}_{background & 255}.webp", riff((b"VP8X", bytes([0x12, 0, 0, 0]) + u24(39) + u24(29)), (b"ANIM", struct.pack("<IH", background, 0)), (b"ANMF", anmf)))


def jpegs():
    colour = Image.fromarray(picture(50, 37, 3, 255).astype(np.uint8))
    for name, image, options in [
        ("jpeg_baseline", colour, {}),
        ("jpeg_progressive", colour, {"progressive": True}),
        ("jpeg_grey", colour.convert("L"), {}),
        ("jpeg_grey_progressive", colour.convert("L"), {"progressive": True}),
        ("jpeg_cmyk", colour.convert("CMYK"), {}),
        ("jpeg_444", colour, {"subsampling": 0}),
        ("jpeg_422", colour, {"subsampling": 1}),
        ("jpeg_420_restarts", colour, {"subsampling": 2, "restart_marker_blocks": 2}),
        ("jpeg_rgb", colour, {"keep_rgb": True}),
        ("jpeg_rotated_by_exif", colour, {"exif": Image.Exif()}),
    ]:
        if "exif" in options:
            options["exif"][0x0112] = 6
        out = io.BytesIO()
        image.save(out, "JPEG", quality=70, **options)
        save(name + ".jpg", out.getvalue())


def gifs():
    picked = (picture(45, 31, 1, 15)[:, :, 0]).astype(np.uint8)
    image = Image.fromarray(picked, "P")
    image.putpalette(rng.integers(0, 256, 48).astype(np.uint8).tobytes())
    for name, options in [
        ("gif_opaque", {"interlace": 0}),
        ("gif_opaque_interlaced", {"interlace": 1}),
        ("gif_transparent", {"transparency": 3, "interlace": 0}),
        ("gif_transparent_interlaced", {"transparency": 3, "interlace": 1}),
        ("gif_animated", {"save_all": True, "append_images": [image.rotate(90)], "transparency": 3, "duration": 20}),
    ]:
        out = io.BytesIO()
        image.save(out, "GIF", **options)
        save(name + ".gif", out.getvalue())
    for transparent in [True, False]:
        out = io.BytesIO()
        image.save(out, "GIF", interlace=0, **({"transparency": 3} if transparent else {}))
        data = out.getvalue()
        at = data.index(b",\0\0\0\0")
        kind = "transparent" if transparent else "opaque"
        wide = bytearray(data)
        wide[6:10] = struct.pack("<HH", 60, 50)
        wide[at + 1 : at + 5] = struct.pack("<HH", 7, 9)
        save(f"gif_{kind}_frame_within_screen.gif", bytes(wide))
        narrow = bytearray(data)
        narrow[6:10] = struct.pack("<HH", 20, 20)
        save(f"gif_{kind}_frame_beyond_screen.gif", bytes(narrow))


def bmps():
    colour = Image.fromarray(picture(23, 17, 3, 255).astype(np.uint8))
    for name, image in [("24bit", colour), ("8bit", colour.convert("L")), ("1bit", colour.convert("1")), ("palette", colour.quantize(16))]:
        out = io.BytesIO()
        image.save(out, "BMP")
        save(f"bmp_{name}.bmp", out.getvalue())
    rgba = picture(23, 17, 4, 255).astype(np.uint8)
    bgra = rgba[::-1, :, [2, 1, 0, 3]].tobytes()
    plain = struct.pack("<IiiHHIIiiII", 40, 23, 17, 1, 32, 0, len(bgra), 0, 0, 0, 0)
    head = struct.pack("<2sIHHI", b"BM", 14 + 40 + len(bgra), 0, 0, 54)
    save("bmp_32bit_without_mask_is_opaque.bmp", head + plain + bgra)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    v4 = struct.pack("<IiiHHIIiiII", 108, 23, 17, 1, 32, 3, len(bgra), 0, 0, 0, 0) + masks + b"BGRs" + bytes(48)
    head = struct.pack("<2sIHHI", b"BM", 14 + 108 + len(bgra), 0, 0, 122)
    save("bmp_32bit_with_alpha_mask.bmp", head + v4 + bgra)
    down = struct.pack("<IiiHHIIiiII", 108, 23, -17, 1, 32, 3, len(bgra), 0, 0, 0, 0) + masks + b"BGRs" + bytes(48)
    save("bmp_32bit_top_down.bmp", head + down + bgra)
    runs = b"".join(bytes([5, 1, 18, 7, 0, 0]) for _ in range(17)) + b"\0\1"
    table = rng.integers(0, 256, 1024).astype(np.uint8)
    table[3::4] = 0
    rle = struct.pack("<IiiHHIIiiII", 40, 23, 17, 1, 8, 1, len(runs), 0, 0, 256, 0) + table.tobytes() + runs
    save("bmp_run_lengths.bmp", struct.pack("<2sIHHI", b"BM", 14 + len(rle), 0, 0, 54 + 1024) + rle)


pngs()
webps()
jpegs()
gifs()
bmps()
open("expected.txt", "w").write("".join(expected[name] + "\n" for name in sorted(expected)))
