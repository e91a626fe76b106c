"""The looks of one town: every texture its streets are made of, drawn from the town's seed."""

from __future__ import annotations

import colorsys
import dataclasses
import functools

import cv2
import numpy as np

from wrp_jax.data.synthetic.textures import Atlas, AtlasWriter, grain, value_noise


@dataclasses.dataclass(frozen=True)
class Town:
    """Textures of a town.

    Attributes:
      atlas: the packed textures.
      kinds: texture indices by kind, such as ``"facade"``.
    """

    atlas: Atlas
    kinds: dict[str, tuple[int, ...]]


@functools.lru_cache(maxsize=4)
def build_town(seed: int) -> Town:
    """Draws the textures of the town of a seed."""
    rng = np.random.default_rng([seed, 1])
    book = AtlasWriter()
    _ground(rng, book)
    _sky(rng, book)
    _buildings(rng, book)
    _plants(rng, book)
    _street(rng, book)
    _people(rng, book)
    _vehicles(rng, book)
    _void(rng, book)
    kinds = {kind: tuple(indices) for kind, indices in book.kinds.items()}
    return Town(book.pack(), kinds)


def _hsv(h: float, s: float, v: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(h % 1.0, min(s, 1.0), min(v, 1.0)), np.float32) * 255


def _plain(height: int, width: int, color) -> np.ndarray:
    return np.broadcast_to(np.asarray(color, np.float32), (height, width, 3)).copy()


def _noisy(rng, height: int, width: int, color, soft, fine, cells=4) -> np.ndarray:
    """A colour with soft blotches and fine grain, both in grey levels."""
    noise = value_noise(rng, height, width, cells, 4)[..., None] - 0.5
    return grain(rng, _plain(height, width, color) + 2 * soft * noise, fine)


def _ground(rng, book: AtlasWriter) -> None:
    grey = rng.uniform(78, 108)
    asphalt = _noisy(rng, 256, 256, [grey, grey, grey + 4], 20, 14)
    for _ in range(5):  # repaired patches and cracks
        x, y = rng.integers(0, 200, 2)
        w, h = rng.integers(20, 70, 2)
        asphalt[y : y + h, x : x + w] += rng.uniform(-16, 10)
        points = np.cumsum(rng.integers(-14, 15, (7, 2)), axis=0) + rng.integers(40, 216, 2)
        cv2.polylines(asphalt, [points.astype(np.int32)], False, (grey - 35,) * 3, 1)
    book.add("road", asphalt)
    paint = rng.uniform(190, 225)
    worn = _noisy(rng, 64, 64, [paint, paint, paint - 8], 55, 16)
    book.add("marking", worn)
    # The look-alike: in some towns the pavement is asphalt too, told apart by its place alone.
    alike = rng.random() < 0.5
    base = np.array([grey, grey, grey + 4]) + rng.uniform(8, 22) if alike else None
    color = (
        base if base is not None else _hsv(rng.uniform(0.05, 0.12), 0.12, rng.uniform(0.5, 0.66))
    )
    pavement = _noisy(rng, 256, 256, color, 16, 12)
    step = int(rng.choice([32, 64, 128]))
    for k in range(0, 256, step):
        pavement[k : k + 1] -= 18
        pavement[:, k : k + 1] -= 18
    book.add("pavement", pavement)
    for hue in (rng.uniform(0.2, 0.3), rng.uniform(0.08, 0.2)):
        rgb = _noisy(
            rng, 256, 256, _hsv(hue, rng.uniform(0.35, 0.6), rng.uniform(0.36, 0.5)), 34, 34, 8
        )
        book.add("terrain", rgb)


def _sky(rng, book: AtlasWriter) -> None:
    """Panoramas: azimuth to the right (tiles), zenith on top, horizon at the bottom."""
    looks = (("clear", 0.5, 0.95, 0.45), ("overcast", 0.06, 0.8, 0.8), ("low", 0.3, 0.85, 0.5))
    for name, saturation, value, cover in looks:
        top = _hsv(rng.uniform(0.55, 0.62), saturation, value * 0.85)
        low = _hsv(0.09 if name == "low" else rng.uniform(0.55, 0.6), saturation * 0.35, value)
        ramp = np.linspace(0, 1, 256, dtype=np.float32)[:, None, None] ** 1.5
        rgb = (top * (1 - ramp) + low * ramp) * np.ones((1, 512, 1), np.float32)
        clouds = value_noise(rng, 256, 512, 8, 4)
        clouds = np.clip((clouds - (1 - cover)) * 4, 0, 1)[..., None]
        shade = 215 + 40 * value_noise(rng, 256, 512, 16, 2)[..., None]
        rgb = rgb * (1 - 0.8 * clouds) + 0.8 * clouds * shade * value
        book.add(f"sky_{name}", rgb)


def _wall(rng, height: int, width: int) -> np.ndarray:
    """Brick, plaster or concrete."""
    kind = rng.integers(0, 3)
    if kind == 0:
        rgb = _noisy(
            rng, height, width, _hsv(rng.uniform(0.0, 0.07), 0.5, rng.uniform(0.4, 0.6)), 12, 10
        )
        for y in range(0, height, 6):
            rgb[y] += 26
            rgb[y : y + 6, (y // 6 % 2) * 6 :: 12] += 20
        return rgb
    hue, saturation = (rng.uniform(0, 1), 0.22) if kind == 1 else (0.1, 0.06)
    return _noisy(rng, height, width, _hsv(hue, saturation, rng.uniform(0.5, 0.85)), 14, 7)


def _buildings(rng, book: AtlasWriter) -> None:
    for _ in range(6):
        rgb = _wall(rng, 256, 256)
        columns, rows = int(rng.integers(3, 6)), 4
        cw, ch = 256 // columns, 256 // rows
        ww, wh = int(cw * rng.uniform(0.35, 0.7)), int(ch * rng.uniform(0.45, 0.7))
        frame = rng.uniform(30, 235)
        glass = _hsv(rng.uniform(0.5, 0.65), rng.uniform(0.1, 0.4), rng.uniform(0.2, 0.45))
        ledge = rng.random() < 0.5
        for row in range(rows):
            if ledge:
                rgb[row * ch : row * ch + 4] *= 0.75
            for column in range(columns):
                x, y = column * cw + (cw - ww) // 2, row * ch + (ch - wh) // 2
                rgb[y - 3 : y + wh + 3, x - 3 : x + ww + 3] = frame
                light = rng.uniform(0.6, 1.5)
                pane = _plain(wh, ww, glass * light)
                pane += np.linspace(30, -20, wh)[:, None, None]
                pane[: int(wh * rng.uniform(0, 0.5))] = 200 * rng.uniform(0.6, 1)  # a blind
                rgb[y : y + wh, x : x + ww] = pane
                rgb[y : y + wh, x + ww // 2 : x + ww // 2 + 2] = frame
        book.add("facade", rgb)
    for _ in range(4):  # ground floors: doors, shop windows, boards with lettering
        rgb = _wall(rng, 96, 256)
        board = _hsv(rng.random(), rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.9))
        rgb[4:22, 8:248] = board
        _lettering(rng, rgb[6:20, 40:216], 255 - board)
        x = 10
        while x < 230:
            w = int(rng.integers(22, 62))
            top = 30 if rng.random() < 0.8 else 40
            rgb[top : 96 if w < 34 else 84, x : min(x + w, 250)] = rng.uniform(20, 95) * np.array(
                [0.9, 1.0, 1.1]
            )
            x += w + int(rng.integers(6, 16))
        book.add("shop", rgb)
    for _ in range(3):
        rgb = _wall(rng, 256, 256)
        rgb += 30 * (value_noise(rng, 256, 256, 2, 2)[..., None] - 0.5)
        book.add("wall", rgb)
    for _ in range(4):  # boards on walls look like signs, and belong to the building
        book.add("panel", _sign_face(rng, 64, 64))


def _lettering(rng, area: np.ndarray, color) -> None:
    """Strokes that look like writing, drawn into ``area``."""
    h, w = area.shape[:2]
    x = 2
    while x < w - 6:
        if rng.random() < 0.8:
            area[2 : h - 2, x : x + 2] = color
            y = int(rng.integers(2, max(h - 4, 3)))
            area[y : y + 2, x : x + 5] = color
        x += int(rng.integers(5, 9))


def _sign_face(rng, height: int, width: int) -> np.ndarray:
    back = _hsv(
        rng.choice([0.0, 0.6, 0.14, 0.35, 0.62]), rng.uniform(0.6, 0.95), rng.uniform(0.5, 0.9)
    )
    rgb = _plain(height, width, back)
    rgb[4:-4, 4:-4] = rgb[4:-4, 4:-4] if rng.random() < 0.5 else 235
    ink = back if rgb[height // 2, width // 2, 1] > 230 else 240
    for y in range(10, height - 12, 14):
        _lettering(rng, rgb[y : y + 12, 8 : width - 8], ink)
    return rgb


def _plants(rng, book: AtlasWriter) -> None:
    for k in range(6):
        rgb = _leaves(rng, 128, 128, rng.uniform(0.2, 0.33))
        alpha = np.zeros((128, 128), np.uint8)
        tall = k % 3 == 0
        for _ in range(26):
            a, r = rng.uniform(0, 2 * np.pi), 42 * np.sqrt(rng.random())
            x, y = 64 + (0.55 if tall else 1) * r * np.cos(a), 62 + r * np.sin(a)
            cv2.circle(alpha, (int(x), int(y)), int(rng.uniform(7, 19)), 1, -1)
        holes = value_noise(rng, 128, 128, 8, 3) > rng.uniform(0.66, 0.75)
        mask = (alpha > 0) & ~holes
        rgb *= np.linspace(1.15, 0.75, 128)[:, None, None]
        book.add("foliage", rgb, mask)
    for _ in range(3):
        rgb = _leaves(rng, 64, 128, rng.uniform(0.22, 0.33))
        edge = (10 + 16 * value_noise(rng, 1, 128, 8, 2)[0]).astype(int)
        book.add("bush", rgb, np.arange(64)[:, None] > edge)
    bark = _noisy(rng, 128, 32, _hsv(0.07, 0.35, rng.uniform(0.25, 0.4)), 30, 22)
    book.add("trunk", bark)


def _leaves(rng, height: int, width: int, hue: float) -> np.ndarray:
    rgb = _noisy(
        rng, height, width, _hsv(hue, rng.uniform(0.4, 0.7), rng.uniform(0.28, 0.5)), 40, 30, 8
    )
    for _ in range(120):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        color = rgb[y, x] * rng.uniform(0.5, 1.5)
        cv2.circle(rgb, (x, y), int(rng.integers(1, 4)), color.tolist(), -1)
    return rgb


def _street(rng, book: AtlasWriter) -> None:
    for _ in range(3):
        value = rng.uniform(0.25, 0.7)
        rgb = _noisy(rng, 64, 16, _hsv(rng.uniform(0.3, 0.7), 0.1, value), 14, 10)
        rgb *= np.array([0.7, 0.9, 1.1, 1.2, 1.2, 1.1, 1, 0.9] * 2)[np.argsort(np.arange(16) % 8)][
            None, :, None
        ]
        book.add("pole", rgb)
    for k in range(8):
        rgb = _sign_face(rng, 64, 64)
        mask = np.zeros((64, 64), np.uint8)
        if k % 4 == 0:
            cv2.circle(mask, (32, 32), 31, 1, -1)
            red = _plain(64, 64, [205, 30, 40])
            inner = np.zeros((64, 64), np.uint8)
            cv2.circle(inner, (32, 32), 23, 1, -1)
            rgb = np.where(inner[..., None] > 0, np.float32(240 if k == 0 else 60), red)
            _lettering(rng, rgb[24:42, 18:46], 20 if k == 0 else 240)
        elif k % 4 == 1:
            cv2.fillPoly(mask, [np.array([[32, 2], [62, 60], [2, 60]])], 1)
            rgb = _plain(64, 64, [210, 35, 40])
            cv2.fillPoly(rgb, [np.array([[32, 16], [52, 54], [12, 54]])], (240, 240, 225))
            rgb[30:50, 30:34] = 20
        else:
            mask[2:62, 2:62] = 1
        book.add("sign", rgb, mask > 0)
    for k in range(3):  # planks, boards, bars
        mask = np.zeros((48, 128), np.uint8)
        mask[:, 1::32] = mask[:, 2::32] = mask[:, 3::32] = 1
        if k == 0:
            mask[4:16] = mask[20:32] = mask[36:44] = 1
        elif k == 1:
            mask[4:48] = 1
        else:
            mask[2:7] = mask[40:45] = 1
            for bar in range(5):
                mask[4:46, bar::12] = 1
        rgb = _noisy(
            rng, 48, 128, _hsv(rng.uniform(0.05, 0.4), 0.25, rng.uniform(0.2, 0.7)), 16, 12
        )
        rgb[:, ::12] -= 14
        book.add("fence", rgb, mask > 0)


def _people(rng, book: AtlasWriter) -> None:
    for _ in range(8):
        book.add(
            "torso",
            *_torso(
                rng,
                skin=_hsv(0.07, rng.uniform(0.25, 0.6), rng.uniform(0.4, 0.9)),
                cloth=_hsv(rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.15, 0.8)),
            ),
        )
    for _ in range(4):
        rgb = _noisy(
            rng,
            48,
            16,
            _hsv(rng.uniform(0.5, 0.7), rng.uniform(0.1, 0.6), rng.uniform(0.12, 0.5)),
            8,
            8,
        )
        rgb[43:] = 25
        mask = np.zeros((48, 16), np.uint8)
        cv2.fillPoly(mask, [np.array([[2, 0], [13, 0], [11, 47], [4, 47]])], 1)
        mask[43:, 4:14] = 1
        book.add("leg", rgb, mask > 0)


def _torso(rng, skin, cloth):
    """Head, trunk and arms, 80 x 40 texels, with their mask."""
    rgb = _noisy(rng, 80, 40, cloth, 10, 10)
    mask = np.zeros((80, 40), np.uint8)
    cv2.ellipse(mask, (20, 11), (8, 10), 0, 0, 360, 1, -1)
    mask[18:26, 16:24] = 1
    cv2.ellipse(mask, (20, 50), (13, 28), 0, 0, 360, 1, -1)
    cv2.ellipse(mask, (7, 48), (4, 20), 8, 0, 360, 1, -1)
    cv2.ellipse(mask, (33, 48), (4, 20), -8, 0, 360, 1, -1)
    mask[78:] = 0
    rgb[:24] = skin + rng.uniform(-8, 8)
    rgb[: int(rng.integers(4, 10))] = _hsv(rng.uniform(0.03, 0.1), 0.5, rng.uniform(0.1, 0.5))
    rgb[64:70, :] = np.where(mask[64:70, :, None] > 0, rgb[64:70] * 0.8, rgb[64:70])
    rgb[64:72, 2:10] = rgb[64:72, 30:38] = skin
    if rng.random() < 0.4:  # a rucksack or a coat in two colours
        rgb[28:56, 12:28] = _hsv(rng.random(), 0.6, rng.uniform(0.2, 0.7))
    return rgb, mask > 0


def _vehicles(rng, book: AtlasWriter) -> None:
    """Bodies are light grey: the colour of the car multiplies them."""
    for _ in range(3):
        rgb = _noisy(rng, 64, 192, [205, 205, 210], 8, 4, 2)
        rgb *= np.linspace(1.12, 0.72, 64)[:, None, None]
        rgb[26:28] *= 0.6
        for x in (60, 100, 136):
            rgb[4:50, x : x + 1] *= 0.5
        mask = np.zeros((64, 192), np.uint8)
        mask[:48, 2:190] = 1
        for x in (38, 152):
            cv2.circle(rgb, (x, 44), 22, (18, 18, 18), -1)
            cv2.circle(rgb, (x, 44), 11, (130, 130, 135), -1)
            cv2.circle(mask, (x, 44), 20, 1, -1)
        rgb[10:20, 2:12] = [200, 40, 30]
        rgb[10:20, 180:190] = [240, 240, 200]
        book.add("car_side", rgb, mask > 0)
        cabin = _plain(48, 128, [205, 205, 210])
        for x in (6, 46, 88):
            cabin[6:44, x : x + 34] = np.linspace(80, 30, 38)[:, None, None]
        edge = np.abs(np.arange(128) - 63.5)[None] < 46 + np.arange(48)[:, None] * 0.36
        book.add("cabin_side", cabin, edge)
        for front in (True, False):
            rgb = _noisy(rng, 64, 96, [195, 195, 200], 6, 4, 2)
            rgb[44:] *= 0.45
            color = [245, 245, 215] if front else [190, 25, 25]
            rgb[12:28, 4:22] = rgb[12:28, 74:92] = color
            rgb[30:40, 34:62] = [225, 225, 200]
            if front:
                rgb[14:26, 28:68] = 35
            book.add("car_front" if front else "car_rear", rgb)
        glass = _plain(48, 96, [205, 205, 210])
        glass[6:46, 8:88] = np.linspace(110, 40, 40)[:, None, None]
        book.add("cabin_end", glass)
    book.add("car_top", _noisy(rng, 64, 64, [215, 215, 220], 6, 4, 2))
    for _ in range(3):  # vans and buses: plain sides, like a panel or a wall
        rgb = _noisy(rng, 128, 192, [200, 200, 205], 8, 5, 2)
        rgb[10:50, 140:186] = 45
        if rng.random() < 0.6:
            rgb[14:50, 8:136:1] = rgb[14:50, 8:136] * 0.8
            for x in range(10, 134, 32):
                rgb[16:50, x : x + 26] = rng.uniform(40, 90)
        else:
            _lettering(rng, rgb[40:70, 20:120], _hsv(rng.random(), 0.8, 0.6))
        mask = np.zeros((128, 192), np.uint8)
        mask[:108] = 1
        for x in (36, 150):
            cv2.circle(rgb, (x, 108), 20, (18, 18, 18), -1)
            cv2.circle(rgb, (x, 108), 9, (120, 120, 125), -1)
            cv2.circle(mask, (x, 108), 18, 1, -1)
        book.add("van_side", rgb, mask > 0)
        rgb = _noisy(rng, 128, 96, [200, 200, 205], 8, 5, 2)
        rgb[12:56, 8:88] = np.linspace(100, 35, 44)[:, None, None]
        rgb[84:96, 4:18] = rgb[84:96, 78:92] = [200, 60, 40]
        rgb[110:] *= 0.4
        book.add("van_end", rgb)


def _void(rng, book: AtlasWriter) -> None:
    """Things of no class, of mixed looks: bins, heaps, figures that are no people, machines."""
    for _ in range(3):
        rgb = _noisy(
            rng, 64, 64, _hsv(rng.random(), rng.uniform(0.2, 0.8), rng.uniform(0.15, 0.5)), 12, 10
        )
        rgb[:10] *= 0.6
        rgb[24:40, 20:44] += 50
        book.add("bin", rgb)
    for _ in range(4):
        rgb = np.zeros((64, 96, 3), np.float32)
        mask = np.zeros((64, 96), np.uint8)
        for _ in range(14):
            x, y = rng.integers(8, 88), rng.integers(20, 64)
            size = rng.integers(5, 16, 2)
            color = _hsv(rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.15, 0.85)).tolist()
            box = cv2.boxPoints(
                ((float(x), float(y)), (float(size[0] * 2), float(size[1] * 2)), rng.uniform(0, 90))
            ).astype(np.int32)
            cv2.fillPoly(rgb, [box], color)
            cv2.fillPoly(mask, [box], 1)
        book.add("heap", grain(rng, rgb, 16), mask > 0)
    for value in (rng.uniform(0.3, 0.5), rng.uniform(0.5, 0.8)):
        stone = _hsv(rng.uniform(0.05, 0.5), 0.1, value)
        book.add("figure", *_torso(rng, stone, stone * 0.9))
    for _ in range(3):
        stripes = _noisy(rng, 64, 64, _hsv(rng.random(), 0.7, 0.7), 8, 8)
        stripes[(np.indices((64, 64)).sum(0) // 8) % 2 == 0] = 225
        book.add("barrier", stripes)
    rgb = _noisy(rng, 32, 256, _hsv(rng.random(), 0.4, rng.uniform(0.1, 0.4)), 8, 4, 2)
    rgb *= np.linspace(1.6, 0.9, 32)[:, None, None]
    x = np.linspace(-1, 1, 256)
    book.add("bonnet", rgb, np.arange(32)[:, None] > 22 * np.abs(x) ** 2.5)
