"""Scenes by the sea: a beach at sunset, a tropical beach, sailing boats."""

import numpy as np

from photolineage.demo.scenes.canvas import Canvas, curve
from photolineage.demo.scenes.colour import WHITE, Colour, darker, even, lighter, mix, pick, rgb, varied
from photolineage.demo.scenes.noise import ridge, smoothstep
from photolineage.demo.scenes.props import clouds, gulls, hills, palm, person
from photolineage.demo.scenes.scene import Scene

SUNSET_SKIES = (
    ("2b2a5e", "7a3b78", "d9603f", "ffb347", "ffe29a"),
    ("1d2b53", "6a4a7c", "e2725b", "ff9e5e", "ffd27d"),
    ("5b2a6e", "b0406f", "f2704d", "ffa45c", "ffd9a0"),
    ("35476e", "a0627d", "f08a5d", "ffc971", "fff0b8"),
    ("40203f", "9c2f3c", "ec5c2e", "ff9a3d", "ffd46b"),
)


def _sea(
    canvas: Canvas, rng: np.random.Generator, top: float, bottom: float, light: Colour, dark: Colour
) -> None:
    """Waves as short strokes that grow towards the viewer."""
    for _ in range(420):
        depth = rng.random() ** 1.6
        y = top + (bottom - top) * depth
        length = 0.01 + 0.1 * depth * rng.random()
        x = rng.uniform(-0.05, canvas.aspect)
        ink = light if rng.random() < 0.45 else dark
        canvas.line([(x, y), (x + length, y + rng.normal(0, 0.001))], ink, 0.001 + 0.004 * depth)


def _shore(canvas: Canvas, rng: np.random.Generator, y: float, slope: float) -> list[tuple[float, float]]:
    phase, waves = rng.uniform(0, 6), rng.uniform(2, 4)
    across = np.linspace(-0.02, canvas.aspect + 0.02, 60)
    down = y + slope * (across / canvas.aspect - 0.5) + 0.014 * np.sin(across * waves + phase)
    return list(zip(across.tolist(), (down + 0.006 * np.sin(across * 11 + phase)).tolist(), strict=True))


def _sand(
    canvas: Canvas, rng: np.random.Generator, shore: list[tuple[float, float]], dry: Colour, wet: Colour
) -> None:
    """The beach below the shore line, with a wet rim and two lines of foam."""
    corners = [(canvas.aspect + 0.02, 1.02), (-0.02, 1.02)]
    stencil = canvas.stencil()
    stencil.polygon([*shore, *corners], 255)
    grain = canvas.noise(rng, (24, 24), octaves=3, persistence=0.8)
    canvas.texture(stencil, grain, [(0, darker(dry, 0.16)), (1, lighter(dry, 0.1))])
    rim = canvas.stencil()
    rim.polygon([*shore, *[(x, y + 0.09) for x, y in reversed(shore)]], 255)
    canvas.fill(rim, wet, opacity=0.6, blur=0.012)
    for offset, width in ((-0.004, 0.014), (-0.045, 0.007)):
        foam = canvas.stencil()
        foam.line([(x, y + offset + rng.normal(0, 0.0025)) for x, y in shore], 255, width)
        canvas.fill(foam, mix(wet, WHITE, 0.8), opacity=0.85, blur=0.003)


def beach_at_sunset(canvas: Canvas, rng: np.random.Generator) -> None:
    """A low sun over the sea, its path of light on the water, and silhouettes."""
    palette = pick(rng, SUNSET_SKIES)
    horizon = rng.uniform(0.45, 0.62)
    canvas.gradient(even(*palette), bottom=horizon)
    sun_x, sun_y = canvas.aspect * rng.uniform(0.2, 0.8), horizon - rng.uniform(-0.01, 0.16)
    low, high = rgb(palette[2]), rgb(palette[4])
    clouds(
        canvas, rng, horizon, colour=darker(low, rng.uniform(0.1, 0.5)), cover=rng.uniform(0.3, 0.6), flat=4
    )
    clouds(canvas, rng, horizon, colour=lighter(rgb(palette[3]), 0.2), cover=rng.uniform(0.25, 0.45), flat=5)
    canvas.glow(sun_x, sun_y, 0.6, high, strength=0.75)
    canvas.glow(sun_x, sun_y, 0.17, WHITE, strength=0.8)
    canvas.disc(sun_x, sun_y, rng.uniform(0.035, 0.06), (255, 247, 214))
    if rng.random() < 0.5:
        _headland(canvas, rng, horizon, darker(rgb(palette[1]), 0.5))
    canvas.gradient(
        [(0, mix(low, high, 0.4)), (0.25, darker(low, 0.35)), (1, darker(rgb(palette[1]), 0.45))], top=horizon
    )
    shore_y = rng.uniform(0.76, 0.9)
    _sea(canvas, rng, horizon, 1.0, mix(low, rgb(palette[3]), 0.4), darker(rgb(palette[1]), 0.5))
    for _ in range(260):
        depth = rng.random() ** 1.4
        x, y = sun_x + rng.normal(0, 0.02 + 0.09 * depth), horizon + (1 - horizon) * depth
        half = 0.008 + 0.035 * depth * rng.random()
        canvas.line(
            [(x - half, y), (x + half, y)], mix(high, WHITE, rng.random() * 0.6), 0.0015 + 0.004 * depth
        )
    sand = darker(mix(low, rgb("b08a6a"), 0.5), 0.5)
    _sand(
        canvas,
        rng,
        _shore(canvas, rng, shore_y, rng.uniform(-0.12, 0.12)),
        sand,
        mix(low, rgb(palette[3]), 0.5),
    )
    canvas.glow(sun_x, 0.95, 0.3, high, strength=0.25, stretch=1.6)
    _sunset_silhouettes(canvas, rng, horizon, darker(rgb(palette[0]), 0.7))


def _headland(canvas: Canvas, rng: np.random.Generator, horizon: float, ink: Colour) -> None:
    """Land that slopes down into the sea from the left edge."""
    across = np.linspace(-0.01, canvas.aspect * rng.uniform(0.35, 0.8), 65)
    heights = (0.04 + 0.09 * ridge(rng, 65, roughness=0.5)) * np.linspace(1, 0, 65) ** 0.7
    outline = zip(across.tolist(), (horizon - heights).tolist(), strict=True)
    canvas.polygon([*outline, (float(across[-1]), horizon + 0.002), (-0.01, horizon + 0.002)], ink)


def _sunset_silhouettes(canvas: Canvas, rng: np.random.Generator, horizon: float, ink: Colour) -> None:
    subject = rng.integers(5)
    x = canvas.aspect * rng.uniform(0.15, 0.85)
    if subject == 0:
        side = 1 if x < canvas.aspect / 2 else -1
        palm(
            canvas,
            rng,
            x - side * 0.15,
            1.02,
            rng.uniform(0.65, 0.9),
            side * rng.uniform(0.08, 0.25),
            ink,
            ink,
        )
    elif subject in (1, 2):
        for offset in range(int(rng.integers(1, 4))):
            person(canvas, rng, x + 0.075 * offset, rng.uniform(0.9, 0.93), rng.uniform(0.16, 0.24), ink)
    elif subject == 3:
        y, size = horizon + 0.025, rng.uniform(0.06, 0.14)
        canvas.polygon(
            [
                (x - size * 0.6, y - size * 0.1),
                (x + size * 0.6, y - size * 0.1),
                (x + size * 0.4, y + size * 0.1),
                (x - size * 0.4, y + size * 0.1),
            ],
            ink,
        )
        canvas.polygon([(x, y - size * 0.15), (x, y - size * 1.5), (x + size * 0.55, y - size * 0.2)], ink)
        canvas.polygon(
            [(x - 0.004, y - size * 0.15), (x - 0.004, y - size * 1.2), (x - size * 0.4, y - size * 0.2)], ink
        )
    gulls(canvas, rng, horizon - 0.1, ink, int(rng.integers(0, 7)))


def tropical_beach(canvas: Canvas, rng: np.random.Generator) -> None:
    """White sand, turquoise water and palms under a bright sky."""
    horizon = rng.uniform(0.36, 0.52)
    canvas.gradient(
        pick(rng, [even("1f78c8", "6db7ea", "d6f0fb"), even("2b8fdb", "8fd0f2", "e9f8fc")]), bottom=horizon
    )
    clouds(canvas, rng, horizon, cover=rng.uniform(0.25, 0.5), flat=1.6)
    if rng.random() < 0.5:
        hills(
            canvas,
            rng,
            canvas.aspect,
            horizon + 0.01,
            rng.uniform(0.04, 0.12),
            (74, 130, 118),
            bottom=horizon,
        )
    water = pick(
        rng, [even("0f6fae", "1fb3c6", "7fe3d4", "c8f4e4"), even("1559a0", "18a0c0", "5fd8d0", "b8f0e0")]
    )
    canvas.gradient(water, top=horizon, bottom=0.88)
    _sea(canvas, rng, horizon, 0.85, (214, 248, 244), (24, 134, 176))
    shore_y = rng.uniform(0.66, 0.78)
    _sand(
        canvas, rng, _shore(canvas, rng, shore_y, rng.uniform(-0.16, 0.16)), (244, 226, 190), (214, 190, 150)
    )
    if rng.random() < 0.7:
        _parasol(
            canvas,
            rng,
            canvas.aspect * rng.uniform(0.2, 0.8),
            rng.uniform(0.88, 0.94),
            rng.uniform(0.16, 0.26),
        )
    _bathers(canvas, rng, shore_y)
    _palms(canvas, rng)


def _bathers(canvas: Canvas, rng: np.random.Generator, shore_y: float) -> None:
    for _ in range(int(rng.integers(0, 3))):
        clothes = pick(rng, [(214, 64, 70), (34, 110, 180), (245, 190, 60), (90, 60, 140)])
        person(
            canvas,
            rng,
            canvas.aspect * rng.random(),
            rng.uniform(shore_y, 0.9),
            0.12,
            (176, 120, 88),
            clothes=clothes,
        )


def _palms(canvas: Canvas, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 4))):
        side = 1 if rng.random() < 0.5 else -1
        foot = canvas.aspect * (0.5 - side * rng.uniform(0.38, 0.55))
        palm(
            canvas,
            rng,
            foot,
            rng.uniform(0.9, 1.05),
            rng.uniform(0.6, 0.95),
            side * rng.uniform(0.1, 0.35),
            (140, 104, 70),
            varied(rng, (52, 134, 62), 10),
        )


def _parasol(canvas: Canvas, rng: np.random.Generator, x: float, base: float, size: float) -> None:
    shadow = canvas.stencil()
    shadow.ellipse(x + size * 0.3, base, size * 0.9, size * 0.16, 255)
    canvas.fill(shadow, (120, 100, 80), opacity=0.45, blur=0.01)
    canvas.line([(x, base), (x + size * 0.08, base - size * 1.25)], (238, 238, 232), 0.008)
    colour = pick(rng, [(226, 60, 62), (28, 120, 190), (246, 176, 42), (234, 100, 150), (40, 160, 120)])
    for panel in range(6):
        left, right = x - size * 0.72 + panel * size * 0.26, x - size * 0.72 + (panel + 1) * size * 0.26
        ink = colour if panel % 2 else (250, 248, 240)
        canvas.polygon(
            [
                (x + size * 0.08, base - size * 1.5),
                (left, base - size * 0.95),
                ((left + right) / 2, base - size * 0.91),
                (right, base - size * 0.95),
            ],
            darker(ink, 0.04 * panel),
        )
    towel = pick(rng, [(60, 150, 200), (240, 120, 90), (250, 210, 90)])
    canvas.polygon(
        [
            (x + size * 0.3, base),
            (x + size * 1.3, base),
            (x + size * 1.5, base + size * 0.2),
            (x + size * 0.4, base + size * 0.2),
        ],
        towel,
    )


def sailing_boats(canvas: Canvas, rng: np.random.Generator) -> None:
    """Boats under sail on open water."""
    horizon = rng.uniform(0.4, 0.6)
    canvas.gradient(
        pick(
            rng,
            [
                even("3f7fc0", "a8d0ee", "eef6fa"),
                even("7f93a8", "b9c6d0", "e4e8ea"),
                even("2f6fb8", "88bce8", "d8ecf6"),
            ],
        ),
        bottom=horizon,
    )
    clouds(canvas, rng, horizon, cover=rng.uniform(0.35, 0.6), flat=2)
    if rng.random() < 0.7:
        hills(
            canvas,
            rng,
            canvas.aspect,
            horizon,
            rng.uniform(0.03, 0.1),
            mix((70, 100, 110), (150, 175, 190), rng.random()),
        )
    canvas.gradient(
        pick(
            rng,
            [
                even("5f96bc", "2a6292", "123f68"),
                even("6fa3b0", "38768a", "1d4a5c"),
                even("7894b4", "3c5f8c", "1e3c62"),
            ],
        ),
        top=horizon,
    )
    ripples = canvas.noise(rng, (40, 5), octaves=3, persistence=0.7)
    canvas.veil((180, 212, 232), smoothstep(ripples, 0.55, 0.85) * 0.4, top=horizon)
    _sea(canvas, rng, horizon, 1.0, (150, 190, 216), (22, 62, 98))
    nearness = np.sort(rng.random(int(rng.integers(1, 7))))
    for near in nearness:
        y = horizon + 0.01 + 0.34 * near**1.5
        _sailing_boat(canvas, rng, canvas.aspect * rng.uniform(0.1, 0.9), y, 0.1 + 0.42 * near)
    gulls(canvas, rng, horizon - 0.15, (240, 244, 246), int(rng.integers(0, 5)))


def _sailing_boat(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    side = 1 if rng.random() < 0.5 else -1
    heel = rng.uniform(-0.08, 0.12) * size * side
    sail = pick(
        rng,
        [(252, 250, 244), (252, 250, 244), (214, 62, 56), (246, 196, 70), (60, 110, 170), (250, 240, 214)],
    )
    glint = canvas.stencil()
    glint.polygon(
        [(x - size * 0.2, y + size * 0.1), (x + size * 0.25, y + size * 0.1), (x + heel, y + size * 0.8)], 255
    )
    canvas.fill(glint, sail, opacity=0.3, blur=0.012)
    mast = (x + heel, y - size)
    main = curve(
        [mast, (x - side * size * 0.34, y - size * 0.5), (x - side * size * 0.42, y - size * 0.12)], 8
    )
    canvas.polygon([*main, (x - side * size * 0.02, y - size * 0.1)], sail)
    jib = curve([mast, (x + side * size * 0.24, y - size * 0.5), (x + side * size * 0.4, y - size * 0.08)], 8)
    canvas.polygon([*jib, (x + side * size * 0.04, y - size * 0.1)], darker(sail, 0.12))
    for seam in (0.35, 0.6):
        canvas.line(
            [
                (x + heel * seam, y - size * seam),
                (x - side * size * 0.42 * (1.05 - seam), y - size * (seam + 0.02)),
            ],
            darker(sail, 0.2),
            size * 0.006,
        )
    canvas.line([(x, y), mast], (70, 60, 52), size * 0.018)
    hull = pick(rng, [(248, 248, 246), (30, 50, 86), (134, 34, 36), (110, 74, 46)])
    canvas.polygon(
        [
            (x - side * size * 0.44, y - size * 0.06),
            (x + side * size * 0.52, y - size * 0.09),
            (x + side * size * 0.38, y + size * 0.06),
            (x - side * size * 0.36, y + size * 0.06),
        ],
        hull,
    )
    canvas.line(
        [(x - size * 0.38, y + size * 0.055), (x + size * 0.38, y + size * 0.055)],
        darker(hull, 0.5),
        size * 0.02,
    )
    canvas.line(
        [(x - size * 0.42, y + size * 0.075), (x + size * 0.46, y + size * 0.075)],
        (226, 238, 246),
        size * 0.02,
    )


SCENES = (
    Scene(
        "beach_at_sunset",
        (
            "beach at sunset",
            "sunset over the sea",
            "a sandy beach in the evening sun",
            "sun setting on the ocean horizon",
            "golden hour at the seaside",
            "evening light on the waves",
        ),
        beach_at_sunset,
    ),
    Scene(
        "tropical_beach",
        (
            "tropical beach",
            "palm trees on a white sand beach",
            "turquoise water and palms",
            "a sunny day at the beach",
            "beach umbrella on the sand",
            "summer holiday by a lagoon",
        ),
        tropical_beach,
    ),
    Scene(
        "sailing_boats",
        (
            "sailing boats",
            "sailboats on blue water",
            "a yacht under sail",
            "a regatta on the lake",
            "sailing boat at sea",
            "boats with white sails",
        ),
        sailing_boats,
    ),
)
