"""Scenes in the dark: fireworks, a concert, a campsite under the stars."""

import itertools

import numpy as np

from photolineage.demo.scenes.canvas import Canvas, curve
from photolineage.demo.scenes.colour import Colour, darker, even, lighter, mix, pick, rgb, varied
from photolineage.demo.scenes.noise import smoothstep
from photolineage.demo.scenes.props import hills, person, pine, stars
from photolineage.demo.scenes.scene import Scene

BURSTS = (
    (255, 90, 70),
    (255, 200, 80),
    (110, 190, 255),
    (140, 255, 150),
    (255, 120, 220),
    (240, 240, 255),
    (190, 120, 255),
)
BEAMS = ((255, 50, 90), (70, 120, 255), (180, 60, 255), (60, 230, 200), (255, 170, 50), (255, 80, 220))


def fireworks(canvas: Canvas, rng: np.random.Generator) -> None:
    """Bursts of coloured sparks over a dark skyline, a lake or a crowd."""
    canvas.gradient(
        pick(
            rng,
            [
                even("03040c", "0a1024", "1c2040"),
                even("06030c", "160a26", "381c3c"),
                even("02060c", "081826", "14323c"),
            ],
        )
    )
    smoke = canvas.noise(rng, (3, 4), octaves=4)
    thinning = np.linspace(1, 0, smoke.shape[0], dtype=np.float32)[:, None]
    canvas.veil((120, 104, 124), smoothstep(smoke, 0.4, 0.95) * 0.4 * thinning)
    ground = rng.uniform(0.72, 0.86)
    for _ in range(int(rng.integers(3, 8))):
        _burst(
            canvas,
            rng,
            canvas.aspect * rng.uniform(0.12, 0.88),
            rng.uniform(0.14, 0.5),
            rng.uniform(0.13, 0.36),
        )
    foreground = rng.integers(3)
    ink = (8, 9, 16)
    hills(canvas, rng, canvas.aspect, ground + 0.01, 0.05, ink, roughness=0.6)
    if foreground == 0:
        for _ in range(60):
            canvas.disc(rng.uniform(0, canvas.aspect), ground + rng.uniform(0, 0.02), 0.002, (255, 210, 140))
        canvas.mirror(rng, ground + 0.02, ripple=0.03, tint=(6, 10, 22), opacity=0.4)
    elif foreground == 1:
        canvas.rectangle(0, ground, canvas.aspect, 1.01, ink)
        for _ in range(70):
            x, y, size = rng.uniform(0, canvas.aspect), rng.uniform(0.9, 1.04), rng.uniform(0.02, 0.035)
            canvas.disc(x, y, size, (4, 4, 8))
            canvas.rounded(x - size * 1.6, y + size, x + size * 1.6, 1.2, size, (4, 4, 8))
    else:
        for x in np.arange(0, canvas.aspect, 0.06):
            canvas.rectangle(float(x), ground - rng.uniform(0.02, 0.12), float(x) + 0.055, 1.01, ink)
            canvas.disc(float(x) + 0.03, ground + rng.uniform(0, 0.1), 0.003, (255, 200, 120))


def _burst(canvas: Canvas, rng: np.random.Generator, x: float, y: float, radius: float) -> None:
    colour = pick(rng, BURSTS)
    tip = pick(rng, BURSTS) if rng.random() < 0.4 else lighter(colour, 0.5)
    canvas.glow(x, y, radius * 1.7, colour, strength=0.75)
    sag = radius * rng.uniform(0.1, 0.35)
    for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(60, 130))):
        reach = radius * rng.beta(4, 1.2)
        end_x, end_y = x + np.cos(angle) * reach, y + np.sin(angle) * reach
        trail = curve(
            [
                (x + np.cos(angle) * reach * 0.25, y + np.sin(angle) * reach * 0.25),
                (end_x, end_y),
                (end_x, end_y + sag),
            ],
            8,
        )
        for step, (start, end) in enumerate(itertools.pairwise(trail)):
            canvas.line([start, end], mix(darker(colour, 0.45), tip, step / 7), 0.003)
        canvas.disc(end_x, end_y + sag, rng.uniform(0.003, 0.006), lighter(tip, 0.5))
    canvas.glow(x, y, radius * 0.3, (255, 255, 255), strength=0.7)
    canvas.line([(x, y + radius * 0.3), (x + rng.normal(0, 0.02), 0.8)], darker(colour, 0.72), 0.002)


def concert(canvas: Canvas, rng: np.random.Generator) -> None:
    """A band on a stage in beams of coloured light, before a crowd with raised hands."""
    canvas.gradient(even("060410", "120a24", "1c1030"))
    first, second = pick(rng, BEAMS), pick(rng, BEAMS)
    stage = rng.uniform(0.58, 0.66)
    canvas.glow(canvas.aspect / 2, stage - 0.12, 0.55, first, strength=0.7, stretch=1.5)
    for index in range(int(rng.integers(6, 11))):
        origin = canvas.aspect * (0.1 + 0.8 * rng.random())
        foot = origin + rng.normal(0, 0.35)
        beam = canvas.stencil()
        beam.polygon(
            [
                (origin - 0.006, 0.06),
                (origin + 0.006, 0.06),
                (foot + 0.1, stage + 0.12),
                (foot - 0.1, stage + 0.12),
            ],
            255,
        )
        canvas.fill(
            beam, lighter(first if index % 2 else second, 0.25), opacity=rng.uniform(0.2, 0.42), blur=0.012
        )
        canvas.glow(origin, 0.06, 0.06, (255, 255, 255), strength=1.0)
    canvas.rectangle(0, 0.035, canvas.aspect, 0.055, (20, 18, 28))
    for x in np.arange(0, canvas.aspect, 0.05):
        canvas.line(
            [(float(x), 0.02), (float(x) + 0.025, 0.055), (float(x) + 0.05, 0.02)], (40, 38, 52), 0.004
        )
    canvas.rectangle(0, stage, canvas.aspect, 1.0, (14, 10, 24))
    canvas.line([(0, stage), (canvas.aspect, stage)], lighter(second, 0.3), 0.006)
    for player in range(int(rng.integers(3, 6))):
        x = canvas.aspect * (0.2 + 0.15 * player + rng.normal(0, 0.015))
        person(canvas, rng, x, stage + 0.005, rng.uniform(0.2, 0.26), (8, 6, 14))
        if rng.random() < 0.6:
            canvas.line([(x - 0.06, stage - 0.08), (x + 0.08, stage - 0.14)], (8, 6, 14), 0.014)
    for side in (0.03, 0.9):
        canvas.rectangle(
            canvas.aspect * side, stage - 0.28, canvas.aspect * (side + 0.07), stage, (10, 9, 16)
        )
    _crowd(canvas, rng, stage, first)


def _crowd(canvas: Canvas, rng: np.random.Generator, stage: float, light: Colour) -> None:
    for depth in np.sort(rng.random(110)):
        y, size = stage + 0.12 + 0.3 * depth, 0.016 + 0.026 * depth
        x = rng.uniform(-0.02, canvas.aspect + 0.02)
        ink = mix(darker(light, 0.72), (5, 4, 10), depth)
        if rng.random() < 0.4:
            for side in (-1, 1):
                hand = (x + side * size * rng.uniform(1, 2), y - size * rng.uniform(2.5, 4.5))
                canvas.line([(x + side * size, y + size), hand], ink, size * 0.55)
                canvas.disc(*hand, size * 0.4, ink)
            if rng.random() < 0.25:
                canvas.rectangle(
                    x - size * 0.4, y - size * 4.2, x + size * 0.4, y - size * 3, (190, 210, 240)
                )
        canvas.disc(x, y, size, ink)
        canvas.rounded(x - size * 1.5, y + size * 0.8, x + size * 1.5, 1.3, size, ink)


def campsite(canvas: Canvas, rng: np.random.Generator) -> None:
    """A glowing tent below the Milky Way, sometimes with a fire."""
    sky = pick(
        rng,
        [
            ("050a1c", "0f2344", "2c4a6a"),
            ("080818", "1c1a40", "4a3a66"),
            ("04101a", "0c3040", "2a5c60"),
            ("0a0c1c", "22284c", "7a5060"),
        ],
    )
    canvas.gradient(even(*sky), bottom=0.8)
    _milky_way(canvas, rng)
    stars(canvas, rng, 0.72, int(rng.integers(260, 520)))
    ground = rng.uniform(0.7, 0.8)
    hills(
        canvas, rng, canvas.aspect, ground - 0.02, rng.uniform(0.06, 0.2), mix(rgb(sky[1]), (4, 8, 14), 0.5)
    )
    for x in rng.beta(0.6, 0.6, int(rng.integers(6, 18))) * canvas.aspect:
        pine(canvas, rng, float(x), ground + 0.03, rng.uniform(0.2, 0.5), varied(rng, (10, 22, 26), 2))
    canvas.gradient([(0, (22, 34, 30)), (1, (8, 12, 14))], top=ground)
    colour = pick(rng, [(255, 160, 60), (255, 110, 70), (255, 200, 90), (110, 220, 190), (250, 130, 150)])
    for tent in range(int(rng.integers(1, 4))):
        x = canvas.aspect * ((0.3, 0.62, 0.86)[tent] + rng.normal(0, 0.04))
        _tent(
            canvas,
            x,
            ground + rng.uniform(0.07, 0.16),
            rng.uniform(0.12, 0.2) / (1 + 0.35 * tent),
            colour,
        )
    if rng.random() < 0.6:
        _fire(canvas, rng, canvas.aspect * rng.uniform(0.4, 0.7), ground + 0.2)


def _milky_way(canvas: Canvas, rng: np.random.Generator) -> None:
    field = canvas.noise(rng, (4, 4), octaves=6, persistence=0.65)
    rows, columns = field.shape
    y = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    x = np.linspace(0, canvas.aspect, columns, dtype=np.float32)[None, :]
    tilt = rng.uniform(-0.9, 0.9)
    middle = canvas.aspect * rng.uniform(0.3, 0.7)
    distance = np.abs(x - middle - tilt * (y - 0.4)) / 0.22
    canvas.veil(
        (176, 176, 214), (np.exp(-(distance**2)) * smoothstep(field, 0.2, 0.9) * 0.6).astype(np.float32)
    )


def _tent(canvas: Canvas, x: float, base: float, size: float, colour: Colour) -> None:
    canvas.glow(x, base - size * 0.3, size * 2.2, colour, strength=0.5)
    left, right, top = (x - size * 1.15, base), (x + size * 1.15, base), (x - size * 0.1, base - size * 1.05)
    canvas.polygon([left, top, (x + size * 0.35, base)], lighter(colour, 0.3))
    canvas.polygon([top, right, (x + size * 0.35, base)], darker(colour, 0.25))
    canvas.polygon(
        [(x - size * 0.42, base), (top[0], top[1] + size * 0.28), (x - size * 0.02, base)],
        lighter(colour, 0.75),
    )
    canvas.glow(x - size * 0.25, base - size * 0.35, size * 0.8, (255, 240, 190), strength=0.7)
    for foot in (left, right):
        canvas.line([top, (foot[0] + (foot[0] - x) * 0.35, base + 0.01)], darker(colour, 0.5), 0.002)


def _fire(canvas: Canvas, rng: np.random.Generator, x: float, base: float) -> None:
    canvas.glow(x, base - 0.02, 0.3, (255, 120, 30), strength=0.7, stretch=1.3)
    for log in (-1, 1):
        canvas.line([(x - log * 0.05, base + 0.01), (x + log * 0.05, base - 0.005)], (60, 36, 24), 0.014)
    for height, width, ink in (
        (0.11, 0.04, (255, 120, 30)),
        (0.08, 0.028, (255, 180, 50)),
        (0.045, 0.016, (255, 240, 170)),
    ):
        sway = rng.normal(0, 0.008)
        canvas.polygon(
            [
                (x - width, base),
                *curve(
                    [(x - width, base), (x - width * 0.9, base - height * 0.6), (x + sway, base - height)], 6
                ),
                *curve(
                    [(x + sway, base - height), (x + width * 0.9, base - height * 0.5), (x + width, base)], 6
                ),
            ],
            ink,
        )


SCENES = (
    Scene(
        "fireworks",
        (
            "fireworks",
            "fireworks in the night sky",
            "new year's eve fireworks",
            "colourful sparks bursting over the water",
            "a firework display",
        ),
        fireworks,
    ),
    Scene(
        "concert",
        (
            "concert",
            "a band on stage",
            "stage lights and a cheering crowd",
            "live music festival",
            "rock concert with raised hands",
        ),
        concert,
    ),
    Scene(
        "campsite",
        (
            "campsite",
            "a tent under the stars",
            "camping at night",
            "campfire and a glowing tent",
            "the milky way above a tent",
            "starry night outdoors",
        ),
        campsite,
    ),
)
