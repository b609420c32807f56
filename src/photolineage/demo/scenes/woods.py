"""Scenes among trees and flowers: a forest, a park in autumn, a sunflower field."""

import numpy as np

from photolineage.demo.scenes.canvas import Canvas, curve
from photolineage.demo.scenes.colour import Colour, darker, even, lighter, mix, pick, rgb, varied
from photolineage.demo.scenes.noise import smoothstep
from photolineage.demo.scenes.props import clouds, foliage, hills
from photolineage.demo.scenes.scene import Scene

FOREST_LIGHTS = (
    ("e8f4c8", "9cc27a", "2f5a34"),
    ("f6efc0", "b8c268", "3c5a28"),
    ("d8ece4", "86b09c", "264c40"),
    ("eef6dc", "a6cf8e", "1f4a2c"),
)
AUTUMN_COLOURS = [(214, 84, 30), (236, 150, 38), (196, 46, 34), (246, 190, 60), (170, 90, 36), (222, 116, 30)]


def forest(canvas: Canvas, rng: np.random.Generator) -> None:
    """Tall trunks in green light, ferns below, sometimes a path."""
    bright, middle, deep = (rgb(code) for code in pick(rng, FOREST_LIGHTS))
    canvas.gradient([(0, middle), (0.45, bright), (0.62, middle), (1, deep)])
    leaves = canvas.noise(rng, (8, 8), octaves=5, persistence=0.7)
    canopy = np.linspace(1.0, 0.0, leaves.shape[0], dtype=np.float32)[:, None] ** 1.2
    canvas.veil(deep, smoothstep(leaves + canopy * 0.5, 0.6, 0.9) * 0.85)
    ground = rng.uniform(0.62, 0.74)
    for layer, count in enumerate((16, 11, 6)):
        near = layer / 2
        trunk = mix(mix(middle, (70, 66, 52), 0.4), (40, 32, 26), near)
        for _ in range(count):
            width = (0.008 + 0.03 * near**1.4) * rng.uniform(0.6, 1.5)
            _trunk(
                canvas,
                rng,
                rng.uniform(-0.05, canvas.aspect + 0.05),
                ground + 0.16 * near * rng.uniform(0.6, 1.2),
                width,
                varied(rng, trunk, 5),
            )
        if layer < 2:
            _undergrowth(canvas, rng, ground + 0.1 * near, mix(middle, deep, 0.3 + 0.5 * near), 150)
    if rng.random() < 0.55:
        _path(canvas, rng, ground, mix((150, 122, 84), bright, 0.15))
    if rng.random() < 0.6:
        _rays(canvas, rng, bright)
    _undergrowth(canvas, rng, 0.97, mix(deep, (60, 120, 50), 0.3), 130)
    for x in (0.0, canvas.aspect / 2, canvas.aspect):
        foliage(
            canvas,
            rng,
            x + rng.normal(0, 0.15),
            -0.02,
            0.4,
            0.16,
            mix(deep, (70, 140, 50), 0.45),
            leaves=260,
            leaf=0.013,
        )


def _trunk(
    canvas: Canvas, rng: np.random.Generator, x: float, base: float, width: float, bark: Colour
) -> None:
    lean = rng.normal(0, 0.02)
    canvas.polygon(
        [
            (x + lean - width * 0.35, -0.01),
            (x + lean + width * 0.35, -0.01),
            (x + width * 0.5, base - 0.03),
            (x + width * 0.9, base),
            (x - width * 0.9, base),
            (x - width * 0.5, base - 0.03),
        ],
        bark,
    )
    canvas.polygon(
        [
            (x + lean - width * 0.35, -0.01),
            (x + lean - width * 0.1, -0.01),
            (x - width * 0.15, base - 0.03),
            (x - width * 0.5, base - 0.03),
        ],
        lighter(bark, 0.2),
    )
    if width > 0.02:
        for _ in range(14):
            y, dx = rng.uniform(0, base - 0.05), rng.uniform(-0.3, 0.3) * width
            canvas.line(
                [(x + dx, y), (x + dx + rng.normal(0, 0.003), y + rng.uniform(0.02, 0.07))],
                darker(bark, 0.35),
                0.002,
            )


def _undergrowth(canvas: Canvas, rng: np.random.Generator, y: float, colour: Colour, count: int) -> None:
    canvas.gradient([(0, colour), (1, darker(colour, 0.35))], top=y)
    for _ in range(count):
        x, base, height = rng.uniform(0, canvas.aspect), y + rng.uniform(-0.01, 0.06), rng.uniform(0.02, 0.07)
        bend = rng.normal(0, 0.04)
        ink = varied(rng, mix(darker(colour, 0.3), lighter(colour, 0.2), rng.random()), 6)
        canvas.polygon([(x - 0.008, base), (x + bend, base - height), (x + 0.008, base)], ink)


def _path(canvas: Canvas, rng: np.random.Generator, ground: float, colour: Colour) -> None:
    x = canvas.aspect * rng.uniform(0.35, 0.65)
    foot = canvas.aspect * rng.uniform(0.3, 0.7)
    left = curve([(x - 0.015, ground), (x - 0.05, 0.85), (foot - 0.26, 1.02)])
    right = curve([(x + 0.015, ground), (x + 0.03, 0.85), (foot + 0.26, 1.02)])
    track = canvas.stencil()
    track.polygon([*left, *reversed(right)], 255)
    canvas.fill(track, colour, blur=0.006)


def _rays(canvas: Canvas, rng: np.random.Generator, light: Colour) -> None:
    origin = canvas.aspect * rng.uniform(0.2, 0.8)
    for _ in range(int(rng.integers(3, 7))):
        beam = canvas.stencil()
        foot = origin + rng.normal(0, 0.45)
        beam.polygon(
            [(origin - 0.01, -0.05), (origin + 0.03, -0.05), (foot + 0.11, 0.85), (foot - 0.02, 0.85)], 255
        )
        canvas.fill(beam, lighter(light, 0.5), opacity=0.22, blur=0.015)


def autumn_park(canvas: Canvas, rng: np.random.Generator) -> None:
    """Red and golden trees along a path strewn with leaves, often with a bench."""
    horizon = rng.uniform(0.5, 0.62)
    canvas.gradient(
        pick(
            rng,
            [
                even("8fb8d8", "dfe8ea"),
                even("c4ccd0", "eceae2"),
                even("5f9fd4", "cfe4ee"),
                even("d8c4a8", "f6e8cc"),
            ],
        ),
        bottom=horizon,
    )
    _distant_trees(canvas, rng, horizon)
    lawn = pick(rng, [(122, 132, 58), (96, 122, 52), (150, 130, 64)])
    canvas.gradient([(0, lighter(lawn, 0.1)), (1, darker(lawn, 0.3))], top=horizon)
    _path(canvas, rng, horizon, (178, 160, 136))
    _fallen_leaves(canvas, rng, horizon)
    for near in np.sort(rng.random(int(rng.integers(3, 8)))):
        side = 1 if rng.random() < 0.5 else -1
        x = canvas.aspect * (0.5 + side * rng.uniform(0.14, 0.5))
        _round_tree(
            canvas,
            rng,
            x,
            horizon + 0.02 + 0.25 * near,
            0.3 + 0.4 * near,
            varied(rng, pick(rng, AUTUMN_COLOURS), 8),
        )
    if rng.random() < 0.65:
        _bench(
            canvas, canvas.aspect * rng.uniform(0.25, 0.75), rng.uniform(0.8, 0.93), rng.uniform(0.1, 0.16)
        )


def _distant_trees(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    hills(
        canvas,
        rng,
        canvas.aspect,
        horizon - 0.03,
        0.1,
        mix(pick(rng, AUTUMN_COLOURS), (120, 100, 90), 0.5),
        roughness=0.6,
    )
    for _ in range(22):
        haze = mix(pick(rng, AUTUMN_COLOURS), (190, 170, 150), 0.4)
        foliage(
            canvas,
            rng,
            rng.uniform(0, canvas.aspect),
            horizon - rng.uniform(0.02, 0.13),
            0.1,
            0.07,
            haze,
            leaves=70,
            leaf=0.009,
        )


def _fallen_leaves(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    for depth in np.sort(rng.random(420)):
        y = horizon + (1 - horizon) * depth**1.3
        size = 0.002 + 0.009 * depth
        canvas.ellipse_at(
            rng.uniform(0, canvas.aspect),
            y,
            size,
            size * 0.5,
            rng.uniform(0, 3),
            varied(rng, pick(rng, AUTUMN_COLOURS), 10),
        )


def _round_tree(
    canvas: Canvas, rng: np.random.Generator, x: float, base: float, height: float, colour: Colour
) -> None:
    bark = (66, 46, 36)
    shadow = canvas.stencil()
    shadow.ellipse(x + height * 0.15, base, height * 0.36, height * 0.045, 255)
    canvas.fill(shadow, (50, 40, 24), opacity=0.45, blur=0.01)
    canvas.polygon(
        [
            (x - height * 0.035, base),
            (x - height * 0.018, base - height * 0.5),
            (x + height * 0.018, base - height * 0.5),
            (x + height * 0.035, base),
        ],
        bark,
    )
    for side in (-1, 1):
        canvas.line(
            [(x, base - height * 0.36), (x + side * height * 0.16, base - height * 0.6)], bark, height * 0.02
        )
    canvas.ellipse(x, base - height * 0.68, height * 0.26, height * 0.2, darker(colour, 0.45))
    for _ in range(4):
        crown_x, crown_y = x + rng.normal(0, height * 0.1), base - height * rng.uniform(0.58, 0.8)
        foliage(
            canvas, rng, crown_x, crown_y, height * 0.26, height * 0.2, colour, leaves=150, leaf=height * 0.02
        )


def _bench(canvas: Canvas, x: float, base: float, size: float) -> None:
    for slat in range(3):
        y = base - size * (0.95 - 0.16 * slat)
        canvas.rectangle(x - size, y, x + size, y + size * 0.1, (124, 80, 48))
    canvas.polygon(
        [
            (x - size, base - size * 0.45),
            (x + size, base - size * 0.45),
            (x + size * 1.08, base - size * 0.3),
            (x - size * 1.08, base - size * 0.3),
        ],
        (142, 94, 56),
    )
    for side in (-0.85, 0.85):
        canvas.line(
            [(x + side * size, base - size * 0.95), (x + side * size, base)], (40, 40, 44), size * 0.08
        )


def sunflower_field(canvas: Canvas, rng: np.random.Generator) -> None:
    """Rows of sunflowers up to the horizon, under a summer sky."""
    horizon = rng.uniform(0.3, 0.5)
    canvas.gradient(
        pick(
            rng,
            [
                even("2a7fd0", "8cc4ec", "e2f2fa"),
                even("5fa0d8", "b4d8ee", "f4f6ee"),
                even("d88a5a", "f6c27a", "fdeec0"),
            ],
        ),
        bottom=horizon,
    )
    clouds(canvas, rng, horizon, cover=rng.uniform(0.25, 0.5), flat=1.8)
    hills(
        canvas,
        rng,
        canvas.aspect,
        horizon + 0.01,
        rng.uniform(0.03, 0.1),
        mix((88, 130, 84), (150, 180, 190), rng.random()),
    )
    if rng.random() < 0.5:
        _farmhouse(
            canvas, rng, canvas.aspect * rng.uniform(0.15, 0.85), horizon + 0.005, rng.uniform(0.05, 0.09)
        )
    canvas.gradient([(0, (196, 170, 40)), (0.25, (110, 136, 46)), (1, (38, 76, 30))], top=horizon)
    lean = rng.uniform(-0.4, 0.4)
    for row in range(16):
        depth = (row / 15) ** 2.0
        y = horizon + 0.012 + (1.02 - horizon) * depth
        size = 0.006 + 0.1 * depth
        spacing = size * 2.5
        offset = lean * depth + rng.uniform(0, spacing)
        for x in np.arange(-0.1 + offset % spacing, canvas.aspect + 0.1, spacing):
            _sunflower(
                canvas,
                rng,
                float(x) + rng.normal(0, size * 0.25),
                y + rng.normal(0, size * 0.2),
                size * rng.uniform(0.8, 1.15),
            )


def _sunflower(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    yellow = varied(rng, (246, 190, 28), 8)
    if size < 0.016:
        canvas.ellipse(x, y, size, size * 0.8, yellow)
        canvas.disc(x, y, size * 0.4, (96, 62, 24))
        return
    canvas.line([(x, y), (x + rng.normal(0, 0.1) * size, y + size * 2.4)], (70, 112, 44), size * 0.14)
    for side in (-1, 1):
        canvas.ellipse_at(
            x + side * size * 0.7,
            y + size * 1.5,
            size * 0.65,
            size * 0.3,
            side * 0.5,
            varied(rng, (72, 124, 46), 8),
        )
    for ring, reach in ((0, 0.98), (1, 0.82)):
        for petal in np.linspace(0, 2 * np.pi, 15, endpoint=False) + ring * 0.2:
            ink = darker(yellow, 0.14) if ring == 0 else yellow
            canvas.ellipse_at(
                x + np.cos(petal) * size * 0.62,
                y + np.sin(petal) * size * 0.58,
                size * 0.38 * reach,
                size * 0.13,
                petal,
                ink,
            )
    canvas.ellipse(x, y, size * 0.42, size * 0.4, (92, 56, 22))
    canvas.ellipse(x, y, size * 0.24, size * 0.22, (58, 34, 16))


def _farmhouse(canvas: Canvas, rng: np.random.Generator, x: float, base: float, size: float) -> None:
    wall = pick(rng, [(236, 220, 190), (214, 178, 140), (244, 240, 230)])
    canvas.rectangle(x - size, base - size * 0.8, x + size, base, wall)
    canvas.polygon(
        [
            (x - size * 1.15, base - size * 0.78),
            (x - size * 0.7, base - size * 1.25),
            (x + size * 0.7, base - size * 1.25),
            (x + size * 1.15, base - size * 0.78),
        ],
        (176, 86, 58),
    )
    for window in (-0.55, 0.0, 0.55):
        canvas.rectangle(
            x + size * (window - 0.1),
            base - size * 0.6,
            x + size * (window + 0.1),
            base - size * 0.3,
            (84, 96, 100),
        )


SCENES = (
    Scene(
        "forest",
        (
            "forest",
            "a walk in the woods",
            "tall trees in a green forest",
            "sunbeams between tree trunks",
            "forest path",
            "woodland with ferns",
        ),
        forest,
    ),
    Scene(
        "autumn_park",
        (
            "autumn park",
            "autumn leaves",
            "red and orange trees in fall",
            "a bench in the park in autumn",
            "golden october trees",
            "fallen leaves on the path",
        ),
        autumn_park,
    ),
    Scene(
        "sunflower_field",
        (
            "sunflower field",
            "sunflowers",
            "a field of yellow flowers",
            "sunflowers under a blue sky",
            "rows of sunflowers in summer",
        ),
        sunflower_field,
    ),
)
