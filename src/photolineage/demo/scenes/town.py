"""Scenes in and over towns: a city at night, an old town, hot-air balloons over the country."""

import numpy as np

from photolineage.demo.scenes.canvas import Canvas, curve
from photolineage.demo.scenes.colour import Colour, darker, even, lighter, mix, pick, rgb, varied
from photolineage.demo.scenes.props import clouds, hills, person, stars
from photolineage.demo.scenes.scene import Scene

WINDOW_LIGHTS = ((255, 214, 130), (255, 236, 180), (255, 190, 100), (190, 220, 255), (255, 170, 120))
NEON = ((255, 60, 120), (60, 200, 255), (255, 180, 40), (120, 255, 160), (190, 90, 255), (255, 80, 60))
FACADES = ("e8b04a", "d9694a", "e9d7a8", "8fb6b0", "c8556a", "f0c987", "7d9cc0", "dd8f6a", "b9c48a", "f2e3d0")


def city_at_night(canvas: Canvas, rng: np.random.Generator) -> None:
    """A skyline of lit windows, above water or above a street of light trails."""
    sky = pick(
        rng,
        [
            ("050a1e", "14224a", "3a3a70"),
            ("0a0818", "2a1840", "6a3a60"),
            ("040c18", "0e2a44", "1f5a70"),
            ("080a14", "1c1c34", "5a3c3c"),
        ],
    )
    ground = rng.uniform(0.62, 0.76)
    canvas.gradient(even(*sky), bottom=ground)
    stars(canvas, rng, 0.4, int(rng.integers(0, 60)))
    if rng.random() < 0.5:
        x, y = canvas.aspect * rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.2)
        canvas.glow(x, y, 0.18, (200, 210, 240), strength=0.5)
        canvas.disc(x, y, 0.03, (244, 242, 226))
    canvas.glow(
        canvas.aspect / 2, ground, 0.5, mix(rgb(sky[2]), (255, 170, 90), 0.4), strength=0.6, stretch=1.8
    )
    for layer in range(3):
        near = layer / 2
        body = mix(rgb(sky[2]), rgb(sky[0]), 0.35 + 0.6 * near)
        x = -0.05
        while x < canvas.aspect:
            width = rng.uniform(0.06, 0.14)
            height = rng.uniform(0.16, 0.5) * (1.15 - 0.45 * near)
            _tower(canvas, rng, x, ground, width, height, varied(rng, body, 3), 0.35 + 0.4 * near)
            x += width * rng.uniform(0.75, 1.25)
    if rng.random() < 0.6:
        canvas.mirror(rng, ground, ripple=0.03, tint=darker(rgb(sky[1]), 0.2), opacity=0.35, squeeze=1.5)
        _quay(canvas, rng, ground)
    else:
        _street(canvas, rng, ground)


def _tower(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    base: float,
    width: float,
    height: float,
    body: Colour,
    lit: float,
) -> None:
    top = base - height
    canvas.rectangle(x, top, x + width, base, body)
    if rng.random() < 0.25:
        canvas.polygon(
            [(x, top), (x + width / 2, top - width * rng.uniform(0.4, 1.2)), (x + width, top)], body
        )
        canvas.disc(x + width / 2, top - 0.02, 0.003, (255, 70, 60))
    columns, rows = max(3, int(width / 0.017)), max(4, int(height / 0.022))
    step_x, step_y = width / columns, height / rows
    tint = pick(rng, WINDOW_LIGHTS)
    for row, column in np.argwhere(rng.random((rows, columns)) < lit * rng.uniform(0.4, 1.0)):
        left, upper = x + (column + 0.22) * step_x, top + (row + 0.25) * step_y
        canvas.rectangle(
            left, upper, left + step_x * 0.55, upper + step_y * 0.5, mix(body, tint, rng.uniform(0.45, 1))
        )
    if rng.random() < 0.18:
        sign = pick(rng, NEON)
        canvas.rectangle(x + width * 0.2, top + 0.02, x + width * 0.8, top + 0.035, sign)
        canvas.glow(x + width / 2, top + 0.03, 0.08, sign, strength=0.6)


def _quay(canvas: Canvas, rng: np.random.Generator, ground: float) -> None:
    for x in np.arange(rng.uniform(0, 0.08), canvas.aspect, rng.uniform(0.07, 0.13)):
        lamp = pick(rng, WINDOW_LIGHTS)
        canvas.glow(float(x), ground - 0.012, 0.045, lamp, strength=0.9)
        canvas.glow(float(x), ground + 0.09, 0.1, lamp, strength=0.4, stretch=0.18)
    canvas.line([(0, ground), (canvas.aspect, ground)], (16, 16, 24), 0.008)


def _street(canvas: Canvas, rng: np.random.Generator, ground: float) -> None:
    canvas.gradient(even("2a2832", "121218"), top=ground)
    vanishing = canvas.aspect * rng.uniform(0.35, 0.65)
    for _ in range(26):
        tail = rng.random() < 0.5
        colour = (255, 60, 44) if tail else (255, 240, 206)
        foot = vanishing + (1 if tail else -1) * rng.uniform(0.1, 0.9)
        path = curve(
            [(vanishing, ground), ((vanishing + foot) / 2 + rng.normal(0, 0.03), ground + 0.06), (foot, 1.02)]
        )
        trail = canvas.stencil()
        trail.line(path, 255, rng.uniform(0.002, 0.007))
        canvas.fill(trail, colour, opacity=0.85)
    for side in (-1, 1):
        for depth in np.linspace(0.05, 1, 7) ** 1.6:
            x, y = vanishing + side * (0.12 + 0.75 * depth), ground + 0.02 - 0.22 * depth
            canvas.line([(x, y), (x, ground + 0.02 + 0.3 * depth)], (20, 20, 26), 0.004)
            canvas.glow(x, y, 0.03 + 0.07 * depth, (255, 200, 120), strength=0.9)


def old_town(canvas: Canvas, rng: np.random.Generator) -> None:
    """Painted house fronts with shutters along a canal or a paved square."""
    ground = rng.uniform(0.68, 0.8)
    canvas.gradient(
        pick(
            rng,
            [
                even("4a94d4", "c8e4f4"),
                even("8fb0cc", "e6eef2"),
                even("e0a070", "fbe2b8"),
                even("6fa8dc", "f0e6d0"),
            ],
        ),
        bottom=ground,
    )
    clouds(canvas, rng, 0.5, cover=rng.uniform(0.2, 0.45), flat=1.8)
    if rng.random() < 0.5:
        _bell_tower(canvas, rng, canvas.aspect * rng.uniform(0.2, 0.8), ground, rng.uniform(0.6, 0.72))
    x = -rng.uniform(0, 0.1)
    previous = ""
    while x < canvas.aspect:
        width = rng.uniform(0.14, 0.24)
        colour = pick(rng, [code for code in FACADES if code != previous])
        previous = colour
        _house(canvas, rng, x, ground, width, rng.uniform(0.34, 0.55), varied(rng, rgb(colour), 6))
        x += width
    if rng.random() < 0.5:
        canvas.mirror(rng, ground + 0.02, ripple=0.012, tint=(40, 90, 90), opacity=0.38)
        canvas.rectangle(0, ground, canvas.aspect, ground + 0.02, (150, 140, 124))
        for _ in range(int(rng.integers(0, 4))):
            _rowing_boat(
                canvas,
                rng,
                canvas.aspect * rng.uniform(0.1, 0.9),
                rng.uniform(ground + 0.07, 0.97),
                rng.uniform(0.08, 0.15),
            )
    else:
        _square(canvas, rng, ground)


def _house(
    canvas: Canvas, rng: np.random.Generator, x: float, base: float, width: float, height: float, wall: Colour
) -> None:
    top, right = base - height, x + width
    canvas.rectangle(x, top, right, base, wall)
    canvas.rectangle(right - width * 0.06, top, right, base, darker(wall, 0.15))
    roof = pick(rng, [(176, 84, 56), (150, 70, 50), (120, 84, 70)])
    if rng.random() < 0.5:
        canvas.polygon(
            [(x - 0.008, top), (x + width / 2, top - width * rng.uniform(0.3, 0.6)), (right + 0.008, top)],
            roof,
        )
    else:
        canvas.polygon(
            [(x - 0.008, top), (x + 0.02, top - 0.05), (right - 0.02, top - 0.05), (right + 0.008, top)], roof
        )
    columns, rows = int(rng.integers(2, 4)), int(rng.integers(3, 5))
    shutter = pick(rng, [(60, 100, 78), (70, 96, 130), (130, 62, 50), (236, 230, 216), (84, 64, 52)])
    cell_x, cell_y = width / columns, (height * 0.76) / rows
    for row in range(rows):
        for column in range(columns):
            _window(
                canvas,
                rng,
                x + cell_x * (column + 0.5),
                top + 0.03 + cell_y * (row + 0.4),
                cell_x * 0.17,
                cell_y * 0.3,
                shutter,
            )
    door = x + width * rng.uniform(0.25, 0.7)
    canvas.rounded(door - 0.022, base - 0.1, door + 0.022, base + 0.02, 0.014, darker(shutter, 0.35))
    if rng.random() < 0.5:
        awning = pick(rng, [(200, 60, 54), (60, 130, 100), (230, 180, 80)])
        canvas.polygon(
            [
                (x + width * 0.1, base - 0.13),
                (right - width * 0.1, base - 0.13),
                (right - width * 0.04, base - 0.095),
                (x + width * 0.04, base - 0.095),
            ],
            awning,
        )


def _window(
    canvas: Canvas, rng: np.random.Generator, x: float, y: float, across: float, down: float, shutter: Colour
) -> None:
    canvas.rectangle(x - across * 1.15, y - down * 1.12, x + across * 1.15, y + down * 1.12, (246, 242, 232))
    canvas.rectangle(
        x - across, y - down, x + across, y + down, mix((54, 70, 86), (150, 180, 200), rng.random() * 0.7)
    )
    for side in (-1, 1):
        middle = x + side * across * 1.65
        canvas.rectangle(
            middle - across * 0.5, y - down * 1.1, middle + across * 0.5, y + down * 1.1, shutter
        )
    if rng.random() < 0.3:
        for petal in range(5):
            canvas.disc(
                x + across * (petal - 2) * 0.5,
                y + down * 1.25,
                across * 0.32,
                pick(rng, [(216, 50, 80), (240, 120, 150), (70, 130, 60)]),
            )


def _bell_tower(canvas: Canvas, rng: np.random.Generator, x: float, base: float, height: float) -> None:
    stone = pick(rng, [(206, 180, 146), (188, 120, 92), (222, 214, 200)])
    top, half = base - height, 0.055
    canvas.rectangle(x - half, top, x + half, base, stone)
    canvas.rectangle(x + half * 0.4, top, x + half, base, darker(stone, 0.15))
    canvas.polygon([(x - half * 1.2, top), (x, top - 0.16), (x + half * 1.2, top)], (96, 128, 116))
    canvas.rounded(x - half * 0.4, top + 0.03, x + half * 0.4, top + 0.1, half * 0.4, (58, 50, 46))
    canvas.disc(x, top + 0.16, half * 0.45, (244, 240, 228))
    canvas.line([(x, top + 0.16), (x, top + 0.14)], (40, 40, 40), 0.004)


def _rowing_boat(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    hull = pick(rng, [(40, 70, 110), (150, 50, 44), (60, 60, 56), (220, 214, 200)])
    canvas.polygon(
        [*curve([(x - size, y - size * 0.2), (x, y + size * 0.42), (x + size, y - size * 0.2)])], hull
    )
    canvas.polygon(
        [*curve([(x - size * 0.9, y - size * 0.17), (x, y + size * 0.1), (x + size * 0.9, y - size * 0.17)])],
        lighter(hull, 0.45),
    )


def _square(canvas: Canvas, rng: np.random.Generator, ground: float) -> None:
    stone = pick(rng, [(176, 164, 146), (160, 152, 148), (190, 172, 144)])
    canvas.gradient([(0, lighter(stone, 0.1)), (1, darker(stone, 0.3))], top=ground)
    for row in np.linspace(0.02, 1, 16) ** 1.7:
        y = ground + (1 - ground) * float(row)
        step = 0.02 + 0.08 * float(row)
        for x in np.arange(rng.uniform(-step, 0), canvas.aspect, step):
            canvas.ellipse(float(x), y, step * 0.44, step * 0.16, varied(rng, darker(stone, 0.12), 9))
    for _ in range(int(rng.integers(0, 6))):
        clothes = pick(rng, [(190, 60, 60), (60, 90, 140), (230, 200, 120), (80, 110, 80), (236, 232, 224)])
        person(
            canvas,
            rng,
            canvas.aspect * rng.random(),
            rng.uniform(ground + 0.02, 0.96),
            rng.uniform(0.13, 0.19),
            (190, 140, 110),
            clothes=clothes,
        )


def hot_air_balloons(canvas: Canvas, rng: np.random.Generator) -> None:
    """Striped balloons over hills in the morning."""
    canvas.gradient(
        pick(
            rng,
            [
                even("4a7fc0", "f0b89a", "ffe6c0"),
                even("3f90dc", "a8d4f2", "f0f8fa"),
                even("8a78b4", "f2a890", "ffdca0"),
                even("6fb0e0", "d8ecf4"),
            ],
        ),
        bottom=1.0,
    )
    clouds(canvas, rng, 0.6, cover=rng.uniform(0.2, 0.4), flat=3)
    base = rng.uniform(0.78, 0.9)
    land = pick(rng, [(120, 140, 80), (170, 120, 90), (88, 120, 100)])
    hills(canvas, rng, canvas.aspect, base - 0.07, 0.1, mix(land, (200, 200, 215), 0.6))
    far = np.sort(rng.random(int(rng.integers(3, 11))))
    for near in far[far < 0.45]:
        _balloon(canvas, rng, near)
    hills(canvas, rng, canvas.aspect, base + 0.03, 0.1, mix(land, (180, 180, 190), 0.25))
    hills(canvas, rng, canvas.aspect, base + 0.12, 0.09, darker(land, 0.25))
    for near in far[far >= 0.45]:
        _balloon(canvas, rng, near)
    _balloon(canvas, rng, rng.uniform(0.75, 1.0))


def _balloon(canvas: Canvas, rng: np.random.Generator, near: float) -> None:
    radius = 0.025 + 0.16 * near**1.6
    x = rng.uniform(0.08, 0.92) * canvas.aspect
    y = rng.uniform(0.12 + radius * 0.6, 0.62 - radius * 0.5)
    first, second = (
        pick(rng, (*NEON, (250, 244, 230), (240, 200, 60), (40, 80, 160), (30, 140, 120), (200, 40, 50)))
        for _ in range(2)
    )
    down = np.linspace(0, 1, 24)
    half = radius * np.where(
        down < 0.45,
        np.sqrt(np.clip(1 - ((0.45 - down) / 0.45) ** 2, 0, 1)),
        np.cos((down - 0.45) / 0.55 * 1.22),
    )
    heights = y - radius * 1.1 + down * radius * 2.4
    gores = 9
    for gore in range(gores):
        left, right = np.sin((gore / gores - 0.5) * np.pi), np.sin(((gore + 1) / gores - 0.5) * np.pi)
        ink = mix(
            darker(first if gore % 2 else second, 0.05 + 0.035 * gore), (230, 215, 210), 0.35 * (1 - near)
        )
        side_a = list(zip((x + left * half).tolist(), heights.tolist(), strict=True))
        side_b = list(zip((x + right * half).tolist(), heights.tolist(), strict=True))
        canvas.polygon([*side_a, *reversed(side_b)], ink)
    canvas.glow(x - radius * 0.35, y - radius * 0.4, radius * 0.6, (255, 255, 255), strength=0.35)
    basket = y + radius * 1.62
    for side in (-1, 1):
        canvas.line(
            [(x + side * half[-1] * 0.9, y + radius * 1.28), (x + side * radius * 0.12, basket)],
            (70, 56, 44),
            radius * 0.02,
        )
    canvas.rectangle(x - radius * 0.14, basket, x + radius * 0.14, basket + radius * 0.22, (112, 76, 46))


SCENES = (
    Scene(
        "city_at_night",
        (
            "city at night",
            "skyline with lit windows",
            "skyscrapers at night",
            "city lights reflected in the river",
            "street lights and light trails",
            "downtown after dark",
        ),
        city_at_night,
    ),
    Scene(
        "old_town",
        (
            "old town",
            "colourful houses along a canal",
            "a street of old houses",
            "historic town square",
            "painted facades with shutters",
            "sightseeing in the old city centre",
        ),
        old_town,
    ),
    Scene(
        "hot_air_balloons",
        (
            "hot air balloons",
            "balloons in the sky",
            "hot-air balloon ride at dawn",
            "striped balloons over the valley",
            "a balloon festival in the morning",
        ),
        hot_air_balloons,
    ),
)
