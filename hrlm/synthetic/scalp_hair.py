"""Strands of the scalp: where the hair line runs, and how each style grows, falls, clumps and curls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hrlm.synthetic.hair_look import LOOSE, HairLook, Strands
from hrlm.synthetic.hair_surface import CENTRE, Roots, Shell, scatter, smooth, unit
from hrlm.synthetic.head import HeadModel, vertex_normals

CROWN = np.array([0.7, 13.8, -4.5])
DOWN = np.array([0.0, -1.0, 0.0])
CROPPED = ("shaved", "buzz cut", "short", "fringe", "side parting", "receding")
BOX = np.array([[-9.0, -8.0, -10.0], [9.0, 15.0, 10.0]])
# the hair line of the neutral head: degrees around the skull from the nose, height in centimetres
LINE = np.array(
    [
        *((0, 10.5), (15, 10.7), (28, 10.5), (37, 9.7), (45, 8.5), (52, 7.3), (57, 6.4), (62, 5.5), (66, 4.2)),
        *((69, 0.9), (76, 0.9), (79, 4.5), (103, 4.5), (107, 1.0), (116, -4), (130, -6.5), (180, -7)),
    ]
)
EAR = (7.75, 4.7)  # skin further out and lower than this is the ear


@dataclass(frozen=True)
class Recipe:
    """How strands of a style are made: hairs per cm², points per strand, root radius in cm, angle of the root against
    the skin, centimetres that the hair stands off the head, strands per clump, how far a clump's tips meet (0-1),
    waywardness, and size and length of waves in cm."""

    density: float
    points: int
    radius: float
    lift: float
    thick: float
    clump: float
    meet: float
    wild: float
    wave: float = 0.0
    wavelength: float = 1.0


RECIPES = {
    "shaved": Recipe(80, 3, 0.0042, 0.7, 0.0, 1, 0.0, 0.15),
    "buzz cut": Recipe(80, 4, 0.0042, 0.75, 0.05, 1, 0.0, 0.2),
    "short": Recipe(80, 7, 0.0054, 0.5, 0.5, 30, 0.35, 0.17),
    "fringe": Recipe(80, 9, 0.0046, 0.3, 0.6, 45, 0.5, 0.14),
    "side parting": Recipe(80, 9, 0.0050, 0.45, 0.6, 40, 0.4, 0.1),
    "receding": Recipe(60, 7, 0.0044, 0.45, 0.4, 25, 0.45, 0.22),
    "medium": Recipe(75, 12, 0.0050, 0.3, 0.9, 60, 0.4, 0.07),
    "long straight": Recipe(70, 13, 0.0050, 0.25, 0.8, 70, 0.35, 0.05),
    "long wavy": Recipe(48, 20, 0.0055, 0.35, 1.2, 80, 0.6, 0.08, 0.55, 6.5),
    "curly": Recipe(49, 20, 0.0060, 1.2, 0.0, 40, 0.45, 0.1, 0.24, 1.25),
    "bun": Recipe(75, 11, 0.0048, 0.15, 0.35, 40, 0.1, 0.03),
}


def margin(rest: np.ndarray, recession: float) -> np.ndarray:
    """Centimetres `(S,)` that points `(S, 3)` of the neutral head lie within the hair line; negative outside it."""
    turn = np.degrees(np.arctan2(np.abs(rest[:, 0]), rest[:, 2]))
    angles = np.linspace(0, 180, 181)
    heights = np.interp(angles, LINE[:, 0], LINE[:, 1])
    heights += recession * (3.2 * np.exp(-(((angles - 35) / 14) ** 2)) + 1.6 * smooth(52, 30, angles))
    arc = 0.13  # centimetres per degree at the temples
    line = np.stack([angles * arc, heights], 1)
    flat = np.stack([turn * arc, rest[:, 1]], 1)
    near = np.sqrt(((flat**2).sum(1)[:, None] - 2 * flat @ line.T + (line**2).sum(1)).min(1).clip(0))
    inside = rest[:, 1] > np.interp(turn, angles, heights)
    ear = (np.abs(rest[:, 0]) > EAR[0]) & (rest[:, 1] < EAR[1])
    return np.where(ear, -9.0, np.where(inside, near, -near))


def uneven(rng: np.random.Generator, rest: np.ndarray, wavelength: float) -> np.ndarray:
    """Smooth noise `(S,)` of about unit size over points `(S, 3)`."""
    total = np.zeros(len(rest))
    for _ in range(5):
        total += np.sin(rest @ (rng.normal(size=3) * 2 * np.pi / wavelength / 1.7) + rng.uniform(0, 6.3))
    return total / 1.6


def scalp(head: HeadModel, vertices: np.ndarray, look: HairLook) -> list[Strands]:
    """All strands of the scalp; none for a bald head."""
    if look.style == "bald":
        return []
    rng = np.random.default_rng([look.seed, 1])
    recipe = RECIPES[look.style]
    roots = scatter(head, rng, BOX, recipe.density * look.density)
    rest = roots.at(head.neutral)
    recession = max(look.recession, 0.75) if look.style == "receding" else look.recession
    within = margin(rest, recession) + 0.22 * uneven(rng, rest, 2.5) + rng.normal(0, 0.12, len(rest))
    keep = rng.random(len(rest)) < smooth(-0.25, 0.6, within)
    if look.style == "receding":
        bare = np.linalg.norm((rest - CROWN) / (4.5, 3, 4), axis=1)
        keep &= rng.random(len(rest)) < 0.25 + 0.75 * smooth(0.4, 1.1, bare)
    baby = ~keep & (within > -0.5) & (rng.random(len(rest)) < 0.35)
    chosen = np.flatnonzero(keep | baby)
    roots, rest, within, baby = roots.only(chosen), rest[chosen], within[chosen], baby[chosen]
    grown = _Growth(head, vertices, look, recipe, rng, roots, rest, within, baby)
    made = [grown.strands()]
    if look.style == "bun":
        made.append(_bun(rng, grown))
    return made


class _Growth:
    """One scalp's strands in the making."""

    def __init__(
        self,
        head: HeadModel,
        vertices: np.ndarray,
        look: HairLook,
        recipe: Recipe,
        rng: np.random.Generator,
        roots: Roots,
        rest: np.ndarray,
        within: np.ndarray,
        baby: np.ndarray,
    ) -> None:
        self.look, self.recipe, self.rng, self.rest, self.baby = look, recipe, rng, rest, baby
        self.count = len(rest)
        self.shell = Shell(head, vertices, soften=2)
        self.normal = unit(roots.at(vertex_normals(vertices, head.faces)))
        self.root = roots.at(vertices)
        self.edge = smooth(-0.2, 0.9, within)
        self.stray = rng.random(self.count) < 0.02
        self.clump = _nearest(rng, self.root, recipe.clump)
        self.front = smooth(2.0, 6.0, rest[:, 2]) * smooth(8.5, 10.5, rest[:, 1])
        self.top = smooth(6.5, 11.0, rest[:, 1])
        across = rest[:, 0] - look.parting + 0.25 * uneven(rng, rest, 3.0) + rng.normal(0, 0.08, self.count)
        self.side = np.sign(across)
        self.parted = smooth(-5.5, -2.5, rest[:, 2])
        back = unit(np.array([[0.0, 0.45 + 0.45 * look.length, -1.0]]))
        self.bun_at = CENTRE + back[0] * (20 - self.shell.height(CENTRE + 20 * back)[0] + 1.0)

    def strands(self) -> Strands:
        length = self.lengths() * (0.55 + 0.45 * self.edge) * self.rng.uniform(0.85, 1.08, self.count)
        length *= 1 + 0.1 * self.rng.normal(size=self.count).clip(-2, 2)[self.clump]
        if self.look.style not in ("shaved", "buzz cut"):
            length = np.where(self.baby, np.minimum(length, self.rng.uniform(0.5, 2.0, self.count)), length)
        points = self.gathered() if self.look.style == "bun" else self.grown(length)
        points = self.clumped(self.waved(points, length))
        count = points.shape[1]
        taper = np.linspace(1, 0.45 if self.look.style in ("shaved", "buzz cut") else 0.25, count)
        thick = self.rng.uniform(0.75, 1.0, self.count) * np.where(self.baby, 0.5, 0.75 + 0.25 * self.edge)
        return Strands(points, self.recipe.radius * thick[:, None] * taper, "scalp")

    def lengths(self) -> np.ndarray:
        """Centimetres of each strand, uncut by chance."""
        s, top = self.look.length, self.top
        if self.look.style in ("shaved", "buzz cut"):
            return np.full(self.count, 0.14 + 0.04 * s if self.look.style == "shaved" else 0.6 + 0.25 * s)
        if self.look.style in ("short", "receding"):
            usual = 3.2 if self.look.style == "short" else 2.0
            return (1.1 + 0.3 * s) * (1 - top) + (usual + 0.9 * s) * top
        if self.look.style == "fringe":
            end = np.stack([self.rest[:, 0] * 0.9, np.full(self.count, 7.6 - 1.1 * s), np.full(self.count, 10.3)], 1)
            ahead = np.linalg.norm(self.rest - end, axis=1) * 1.12
            forward = smooth(-3, 2, self.rest[:, 2]) * smooth(6.5, 9.5, self.rest[:, 1])
            return (2.6 + 0.8 * s) * (1 - forward) + np.minimum(ahead, 14) * forward
        if self.look.style == "side parting":
            # the further from the parting, the sooner it is cut: it ends above the ears
            reach = 1 - 0.075 * np.abs(self.rest[:, 0] - self.look.parting)
            return (1.4 + 0.4 * s) * (1 - top) + (7 + 1.3 * s) * top * reach.clip(0.3, 1)
        if self.look.style == "curly":
            far = np.linalg.norm(self.root - CENTRE, axis=1)
            return np.maximum(13.9 + 1.6 * s + self.look.volume - far, 1.2) + 0.8 * smooth(-6, 2, self.rest[:, 1])
        usual = 17.0 if self.look.style == "medium" else 32.0
        # cut to one level: what is rooted lower needs less to reach it
        return usual + (5 if self.look.style == "medium" else 8) * s + 0.8 * (self.rest[:, 1] - 10)

    def along(self, points: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Directions made tangent to the head under the points."""
        out = unit(points - CENTRE)
        return unit(direction - (direction * out).sum(1)[:, None] * out)

    def wish(self, points: np.ndarray, run: np.ndarray) -> np.ndarray:
        """Where hair at the points `(S, 3)` wants to go after `run` `(S,)` centimetres: unit vectors."""
        radial = self.along(points, points - CROWN)
        style, sweep = self.look.style, self.look.sweep
        if style == "curly":
            return unit(unit(points - CENTRE + DOWN) + 0.02 * run[:, None] * DOWN)
        if style not in (*LOOSE, "side parting"):
            if style == "short":  # brushed to one side in front
                radial = radial + (0.25 * self.look.parting * self.front * self.top)[:, None] * np.array([-1.0, 0, 0])
            return unit(radial + (0.12 if style == "fringe" else 0.04) * run[:, None] * DOWN)
        back = (0.15 + 0.9 * sweep) * (0.4 + 0.6 * self.front)
        lateral = np.stack([self.side, 0.0 * back, -back], 1)
        if style == "side parting":
            combed = self.along(points, lateral + np.array([0, 0, -0.45]))
            share = (self.parted * self.top)[:, None]
            return unit(combed * share + radial * (1 - share) + 0.07 * run[:, None] * DOWN)
        combed = self.along(points, lateral)
        share = self.parted[:, None]
        fall = smooth(0.35, 1.1, np.abs(points[:, 0] - self.look.parting) / 7.5) * self.parted
        fall = np.maximum(fall, smooth(8.5, 3.5, points[:, 1]))[:, None]
        mixed = unit(combed * share + radial * (1 - share))
        behind = np.array([0, -1.0, 0]) + np.stack([0 * run, 0 * run, -0.5 * sweep * smooth(12, 4, points[:, 1])], 1)
        turned = smooth(0.8, 1.0, run / (15 if style == "medium" else 60))[:, None] * unit(points - CENTRE) * (1, 0, 1)
        return unit(mixed * (1 - fall) + behind * fall - 0.35 * turned)

    def cling(self, points: np.ndarray, stand: np.ndarray) -> np.ndarray:
        """The pull `(S, 3)` back to the head of hair that has come off it more than it should stand off."""
        strength = {"fringe": 0.9, "side parting": 0.7}.get(self.look.style, 0.7 * (self.look.style in LOOSE))
        if not strength:
            return np.zeros(3)
        off = smooth(0.1, 1.5, self.shell.height(points) - stand) * smooth(-1.0, 4.0, points[:, 1])
        return strength * off[:, None] * unit(points - CENTRE)

    def grown(self, length: np.ndarray) -> np.ndarray:
        """Points `(S, K, 3)` of strands that set out from the skin, bend to their wish and rest on the head."""
        recipe, rng, look = self.recipe, self.rng, self.look
        count = recipe.points
        start = self.along(self.root, self.wish(self.root, np.zeros(self.count)))
        start += recipe.wild * (rng.normal(size=(self.count, 3))[self.clump] + 0.5 * rng.normal(size=(self.count, 3)))
        lift = recipe.lift * (1 + 0.35 * look.volume) * (0.45 + 0.55 * self.top) + 0.5 * self.stray
        if look.style in ("short", "side parting"):
            lift = lift + (0.12 + 0.3 * look.volume) * self.front
        direction = unit(start * np.cos(lift)[:, None] + self.normal * np.sin(lift)[:, None])
        # strands rooted higher lie over those rooted lower
        layer = 0.15 + 0.6 * self.top + 0.35 * rng.random(self.count)
        stand = recipe.thick * (1 + 0.5 * look.volume) * layer * np.where(self.baby, 0.1, 0.4 + 0.6 * self.edge)
        bend = 0.25 if look.style == "curly" else 0.35 if look.style in ("short", "side parting", "receding") else 0.55
        sway = recipe.wild * rng.normal(size=(self.count, 3))[self.clump]
        points = np.empty((self.count, count, 3))
        points[:, 0] = self.root - 0.03 * self.normal
        parts = 2 if length.mean() > 8 else 1
        step = length / (count - 1) / parts
        here, run = points[:, 0].copy(), np.zeros(self.count)
        for k in range(1, count):
            for _ in range(parts):
                run = run + step
                wish = self.wish(here, run) + sway - self.cling(here, stand)
                turn = (1 - (1 - bend) ** np.minimum(step, 1.2))[:, None]
                wild = recipe.wild * 0.5 * rng.normal(size=(self.count, 3)) * (1 + 2 * self.stray)[:, None]
                direction = unit(direction * (1 - turn) + (wish + wild) * turn)
                least = stand * smooth(0, 4.5, run) + np.minimum(0.04, 0.3 * run)
                there = self.shell.push(here + direction * step[:, None], least)
                direction = unit(there - here)
                here = here + direction * step[:, None]
            points[:, k] = here
        return points

    def gathered(self) -> np.ndarray:
        """Points of strands that run over the head to the bun."""
        count = self.recipe.points
        t = np.linspace(0, 1, count)
        away, goal = unit(self.root - CENTRE), unit(self.bun_at - CENTRE)
        angle = np.arccos(np.clip(away @ goal, -1, 0.9999))
        sine = np.sin(angle)[:, None]
        turn = angle[:, None] * t
        way = (np.sin(angle[:, None] - turn) / sine)[..., None] * away[:, None] + (np.sin(turn) / sine)[
            ..., None
        ] * goal
        end = self.bun_at + self.rng.normal(0, 0.55, (self.count, 3))
        stand = 0.06 + self.recipe.thick * (1 + 0.6 * self.look.volume) * (0.2 + 0.8 * self.rng.random(self.count))
        points = np.empty((self.count, count, 3))
        for k in range(count):
            rise = stand * np.sin(np.pi * min(t[k], 0.5)) * np.where(self.baby, 0.3, 1)
            far = np.linalg.norm(self.root - CENTRE, axis=1) * (1 - t[k]) + 9.0 * t[k]
            out = CENTRE + way[:, k] * far[:, None]
            deep = (rise + 0.04 - self.shell.height(out)).clip(-3)
            points[:, k] = out + way[:, k] * deep[:, None]
        points[:, 0] = self.root - 0.03 * self.normal
        points[:, -1] = 0.5 * points[:, -1] + 0.5 * end
        short = self.baby | self.stray
        if short.any():  # too short to reach the bun: the first part of the way only, a little off it
            cut = np.linspace(0, 1, count) * 0.22 * (count - 1)
            low = cut.astype(int)
            part = (cut - low)[None, :, None]
            begun = points[short][:, low] * (1 - part) + points[short][:, low + 1] * part
            points[short] = begun + (t**2)[None, :, None] * self.rng.normal(0, 0.18, (int(short.sum()), 1, 3))
        return points

    def waved(self, points: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Waves or coils about the strands, in step within a clump."""
        recipe, rng = self.recipe, self.rng
        if not recipe.wave:
            return points
        t = np.linspace(0, 1, points.shape[1])
        ahead = unit(np.gradient(points, axis=1))
        u = unit(np.cross(ahead, np.array([0.3, 0.2, 0.9])))
        v = np.cross(ahead, u)
        tight = recipe.wavelength * rng.uniform(0.8, 1.25, self.count)[self.clump]
        phase = rng.uniform(0, 2 * np.pi, self.count)[self.clump] + rng.normal(0, 0.35, self.count)
        turn = phase[:, None] + 2 * np.pi * length[:, None] * t / tight[:, None]
        rising = smooth(0, 2.5 * recipe.wave, length[:, None] * t * (0.25 if recipe.wavelength > 3 else 1))
        size = recipe.wave * rng.uniform(0.7, 1.3, self.count)[self.clump][:, None] * rising
        return points + size[..., None] * (np.cos(turn)[..., None] * u + np.sin(turn)[..., None] * v)

    def clumped(self, points: np.ndarray) -> np.ndarray:
        """Strands drawn towards the middle strand of their clump, more so at the tips."""
        if not self.recipe.meet:
            return points
        t = np.linspace(0, 1, points.shape[1]) ** 1.3
        # not across the parting, and not onto a strand that is much shorter
        near = np.linalg.norm(points[self.clump, -1] - points[:, -1], axis=1) < 4.0
        near &= (self.baby[self.clump] == self.baby) & ~self.stray
        pull = self.recipe.meet * near * self.rng.uniform(0.5, 1.2, self.count).clip(0, 1)
        return points + (pull[:, None] * t)[..., None] * (points[self.clump] - points)


def _nearest(rng: np.random.Generator, points: np.ndarray, share: float) -> np.ndarray:
    """For each of the points the index of the nearest of those chosen as middles of clumps, one in `share`."""
    if share <= 1:
        return np.arange(len(points))
    middles = rng.choice(len(points), max(1, int(len(points) / share)), replace=False)
    flat = points.astype(np.float32)
    goal = flat[middles]
    square = (goal**2).sum(1) / 2
    found = [np.argmax(part @ goal.T - square, 1) for part in np.array_split(flat, 1 + len(flat) // 4000)]
    return middles[np.concatenate(found)]


def _bun(rng: np.random.Generator, grown: _Growth) -> Strands:
    """Loops about the place where the hair is gathered."""
    count, size = 5000, 3.1 + 0.7 * grown.look.volume
    axis = unit(grown.bun_at - CENTRE)
    u = unit(np.cross(axis, [0.9, 0.1, 0.3]))
    v = np.cross(axis, u)
    turn = rng.uniform(0, 2 * np.pi, count)[:, None] + np.linspace(0, 2.6, 14)
    tube = rng.uniform(0, 2 * np.pi, count // 100)[rng.integers(count // 100, size=count)][:, None]
    tube = tube + 1.3 * np.linspace(-0.5, 0.5, 14) + rng.normal(0, 0.12, (count, 1))
    inner = 0.42 * size * np.sqrt(rng.uniform(0.6, 1, count))[:, None]
    far = 0.55 * size + inner * np.cos(tube)
    high = 0.8 * inner * np.sin(tube) + 0.2 * size
    ring = np.cos(turn)[..., None] * u + np.sin(turn)[..., None] * v
    points = grown.bun_at + far[..., None] * ring + high[..., None] * axis
    return Strands(points, np.full((count, 14), 1.2 * grown.recipe.radius), "scalp")
