"""A scene of Christmas: a decorated tree in a living room."""

import numpy as np

from photolineage.demo.scenes.canvas import Canvas
from photolineage.demo.scenes.colour import darker, even, lighter, mix, pick, rgb, varied
from photolineage.demo.scenes.props import gift
from photolineage.demo.scenes.scene import Scene


def christmas_tree(canvas: Canvas, rng: np.random.Generator) -> None:
    """A decorated tree with lights and presents in a living room."""
    wall = rgb(pick(rng, ["5a3a34", "7a4a3a", "3f4a44", "8a6a52", "c4a888", "46506a", "d8cfc0"]))
    floor = rng.uniform(0.78, 0.88)
    canvas.gradient([(0, darker(wall, 0.35)), (1, wall)], bottom=floor)
    canvas.gradient(even("7a5236", "4a2f20"), top=floor)
    x = canvas.aspect * rng.uniform(0.36, 0.64)
    far_side = canvas.aspect * (0.84 if x < canvas.aspect / 2 else 0.16)
    if rng.random() < 0.55:
        _frosty_window(canvas, rng, far_side, 0.34, 0.17)
    else:
        _fireplace(canvas, rng, far_side, floor)
    canvas.glow(x, 0.5, 0.7, (255, 180, 90), strength=0.45)
    _decorated_tree(canvas, rng, x, floor + 0.05, rng.uniform(0.68, 0.8))
    for _ in range(int(rng.integers(3, 7))):
        gift(canvas, rng, x + rng.normal(0, 0.24), floor + rng.uniform(0.06, 0.14), rng.uniform(0.04, 0.075))


def _decorated_tree(canvas: Canvas, rng: np.random.Generator, x: float, base: float, height: float) -> None:
    green = varied(rng, (26, 84, 50), 8)
    canvas.rectangle(x - 0.025, base - height * 0.12, x + 0.025, base, (76, 52, 36))
    tiers = 6
    for tier in range(tiers):
        low = base - height * (0.08 + 0.78 * tier / tiers)
        half = height * 0.4 * (1 - tier / (tiers + 0.4))
        canvas.polygon(
            [(x, low - height * 0.26), (x - half * 0.86, low), (x + half * 0.86, low)], darker(green, 0.5)
        )
        for _ in range(110):
            share, down = rng.uniform(-1, 1), rng.random()
            tip_x, tip_y = x + share * half * down, low - height * 0.24 * (1 - down)
            ink = varied(rng, mix(darker(green, 0.45), lighter(green, 0.2), rng.random()), 4)
            canvas.polygon(
                [
                    (tip_x - 0.01, tip_y - 0.035),
                    (tip_x + 0.01, tip_y - 0.035),
                    (tip_x + share * 0.02, tip_y + 0.02),
                ],
                ink,
            )
    baubles = pick(
        rng,
        [
            ((200, 30, 50), (230, 180, 70)),
            ((60, 110, 200), (220, 225, 235)),
            ((190, 60, 130), (240, 200, 210)),
            ((200, 30, 50), (240, 240, 244)),
        ],
    )
    for _ in range(int(rng.integers(24, 44))):
        down = np.sqrt(rng.random()) * 0.95
        spot_x, spot_y = x + rng.uniform(-1, 1) * height * 0.33 * down, base - height * (0.98 - 0.86 * down)
        size = rng.uniform(0.012, 0.02)
        canvas.ball(spot_x, spot_y, size, size, pick(rng, baubles))
    for _ in range(70):
        down = np.sqrt(rng.random()) * 0.97
        spot_x, spot_y = x + rng.uniform(-1, 1) * height * 0.35 * down, base - height * (0.99 - 0.88 * down)
        canvas.glow(spot_x, spot_y, 0.022, (255, 214, 120), strength=0.9)
        canvas.disc(spot_x, spot_y, 0.003, (255, 250, 220))
    top = base - height * 1.0
    canvas.glow(x, top, 0.12, (255, 220, 110), strength=0.8)
    star = [
        (x + np.sin(a) * r, top - np.cos(a) * r)
        for a, r in zip(np.linspace(0, 2 * np.pi, 10, endpoint=False), [0.045, 0.018] * 5, strict=True)
    ]
    canvas.polygon(star, (255, 226, 110))


def _frosty_window(canvas: Canvas, rng: np.random.Generator, x: float, y: float, half: float) -> None:
    canvas.rectangle(x - half * 1.1, y - half * 1.4, x + half * 1.1, y + half * 1.4, (236, 230, 220))
    canvas.rectangle(x - half, y - half * 1.3, x + half, y + half * 1.3, (40, 58, 100))
    for _ in range(60):
        canvas.disc(
            x + rng.uniform(-half, half),
            y + rng.uniform(-1.3, 1.3) * half,
            rng.uniform(0.002, 0.005),
            (236, 242, 252),
        )
    canvas.ellipse(x, y + half * 1.3, half, half * 0.3, (232, 240, 250))
    canvas.rectangle(x - half * 1.1, y + half * 1.3, x + half * 1.1, y + half * 1.65, (226, 220, 208))
    canvas.line([(x, y - half * 1.3), (x, y + half * 1.3)], (236, 230, 220), 0.012)
    canvas.line([(x - half, y), (x + half, y)], (236, 230, 220), 0.012)


def _fireplace(canvas: Canvas, rng: np.random.Generator, x: float, floor: float) -> None:
    stone = (126, 112, 102)
    canvas.rectangle(x - 0.17, floor - 0.36, x + 0.17, floor + 0.01, stone)
    canvas.rectangle(x - 0.2, floor - 0.39, x + 0.2, floor - 0.35, (92, 60, 40))
    canvas.rounded(x - 0.11, floor - 0.24, x + 0.11, floor + 0.03, 0.05, (24, 16, 14))
    for _ in range(12):
        flame_x, tall = x + rng.normal(0, 0.04), rng.uniform(0.06, 0.14)
        canvas.polygon(
            [
                (flame_x - 0.018, floor),
                (flame_x + rng.normal(0, 0.01), floor - tall),
                (flame_x + 0.018, floor),
            ],
            pick(rng, [(255, 140, 40), (255, 200, 80), (240, 90, 30)]),
        )
    canvas.glow(x, floor - 0.06, 0.26, (255, 130, 40), strength=0.6)
    for offset in (-0.12, -0.04, 0.04, 0.12):
        canvas.rounded(x + offset - 0.02, floor - 0.36, x + offset + 0.02, floor - 0.27, 0.012, (196, 34, 46))
        canvas.rectangle(
            x + offset - 0.022, floor - 0.365, x + offset + 0.022, floor - 0.345, (246, 244, 240)
        )


SCENES = (
    Scene(
        "christmas_tree",
        (
            "christmas tree",
            "a decorated christmas tree",
            "christmas eve in the living room",
            "presents under the tree",
            "fairy lights and baubles",
        ),
        christmas_tree,
    ),
)
