"""A drawn lower face: articulator trajectories (visemes.py) to pictures.

Lengths are in face units: the crop spans -1..1 in both directions, the mouth's centre lies a little above its middle,
u points right and v down. The mouth is drawn for all frames at once in an upright box, as colour and coverage; skin is
drawn once; both are then moved by the head's pose.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from slts.corpora.synthetic.visemes import ARTICULATORS

_BOX = (-0.76, 0.76, -0.42, 0.86)
"""u0, u1, v0, v1 of the box the mouth is drawn in."""
_SKIN_REACH = 1.7
"""The skin picture spans -1.7..1.7, enough for every pose."""
_CENTRE = 0.10
"""v of the crop's centre."""
_AT_ONCE = 16
"""Frames whose mouths are drawn together."""
_JAW_DROP = 0.26
"""How far the chin falls at jaw 1."""


@dataclass(frozen=True)
class Looks:
    """Appearance of a speaker. Colours are RGB in 0..1, lengths in face units."""

    skin: tuple[float, float, float]
    lips: tuple[float, float, float]
    half_width: float = 0.57
    """Of the mouth at rest."""
    upper_lip: float = 0.12
    lower_lip: float = 0.17
    corners: float = 0.0
    """How far the corners of the mouth hang below its middle (negative: a smile)."""
    face_width: float = 1.15
    """Half-width of the jaw."""
    stubble: float = 0.0
    """0..1."""
    backdrop: tuple[float, float, float] = (0.25, 0.45, 0.60)


@dataclass(frozen=True)
class Pose:
    """Where the head is and how it is lit, at T instants; each field is (T,)."""

    x: np.ndarray
    y: np.ndarray
    """Position in face units."""
    roll: np.ndarray
    """Radians."""
    scale: np.ndarray
    brightness: np.ndarray
    """1 is neutral."""
    side_light: float = 0.0
    """Relative gain of brightness per face unit to the right."""


def render(states: np.ndarray, pose: Pose, looks: Looks, size: int, texture: np.random.Generator) -> np.ndarray:
    """Pictures of mouth ``states`` (T, articulators) in ``pose``: (T, size, size, 3) float32 RGB, no noise.

    Values are in 0..255 but for strong light, which may exceed 255. ``texture`` seeds the grain of the skin, so that a
    speaker keeps it from clip to clip.
    """
    state = dict(zip(ARTICULATORS, states.T.astype(np.float32), strict=True))
    density = size / 2
    skin = _skin(looks, density, texture)
    # The planes of a few frames stay in the cache of the processor; those of all frames do not.
    parts = [
        _mouth({name: values[t : t + _AT_ONCE] for name, values in state.items()}, looks, density)
        for t in range(0, len(states), _AT_ONCE)
    ]
    mouth = np.concatenate(parts)

    # Pixel (row, column) of the crop shows the point (u, v) of the face.
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    p, q = (columns + 0.5) / density - 1, (rows + 0.5) / density - 1
    lighting = 255 * cv2.merge([1 + np.float32(pose.side_light) * p] * 3)
    frames = np.empty((len(states), size, size, 3), np.float32)
    for t, (x, y, roll, scale) in enumerate(np.stack([pose.x, pose.y, pose.roll, pose.scale], 1).tolist()):
        cos, sin = math.cos(roll) / scale, math.sin(roll) / scale
        u = cos * (p - x) + sin * (q - y)
        v = cos * (q - y) - sin * (p - x) + _CENTRE
        fallen = v - _JAW_DROP * max(float(state["jaw"][t]), 0.0) * _ramp(v, 0.1, 0.75)
        picture = cv2.remap(
            skin, (u + _SKIN_REACH) * density - 0.5, (fallen + _SKIN_REACH) * density - 0.5, cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        over = cv2.remap(
            mouth[t], (u - _BOX[0]) * density - 0.5, (v - _BOX[2]) * density - 0.5, cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
        )  # fmt: skip
        picture *= cv2.merge([1 - over[..., 3]] * 3)
        picture += over[..., :3]
        np.multiply(picture, lighting * np.float32(pose.brightness[t]), out=frames[t])
    return frames


def _ramp(x, low: float, high: float):
    """0 below ``low``, 1 above ``high``, smooth between."""
    s = np.clip((x - low) * np.float32(1 / (high - low)), 0, 1)
    return s * s * (3 - 2 * s)


def _blob(u, v, u0: float, v0: float, width: float, height: float):
    """A soft spot of height 1 at (u0, v0)."""
    return np.exp(-(((u - u0) / width) ** 2) - ((v - v0) / height) ** 2)


def _skin(looks: Looks, density: float, texture: np.random.Generator) -> np.ndarray:
    """Skin, nose, chin and what is beside the face, with the mouth closed: (n, n, 3) float32 in 0..1."""
    n = round(2 * _SKIN_REACH * density)
    axis = ((np.arange(n, dtype=np.float32) + 0.5) / density - _SKIN_REACH).astype(np.float32)
    u, v = axis[None, :], axis[:, None]
    side = abs(u)

    # The face as an ellipsoid lit from above, then its features as soft hollows and heights.
    shade = 0.66 + 0.40 * np.sqrt(np.clip(1 - (u / 1.45) ** 2 - ((v + 0.25) / 2.0) ** 2, 0, 1))
    shade = shade - 0.20 * _blob(side, v, 0.0, -0.62, 0.34, 0.10)  # shadow under the nose
    shade -= 0.55 * _blob(side, v, 0.13, -0.69, 0.075, 0.045)  # nostrils
    shade -= 0.22 * _blob(side, v, 0.30, -0.76, 0.040, 0.120)  # wings of the nose
    shade += 0.14 * _blob(side, v, 0.0, -0.86, 0.16, 0.13)  # tip of the nose
    shade -= 0.07 * _blob(side, v, 0.0, -0.38, 0.035, 0.13)  # philtrum
    shade += 0.05 * _blob(side, v, 0.075, -0.36, 0.035, 0.13)
    fold = 0.34 + 0.42 * _ramp(v, -0.75, 0.15)
    shade -= 0.12 * np.exp(-(((side - fold) / 0.055) ** 2)) * _ramp(v, -0.85, -0.55) * (1 - _ramp(v, -0.1, 0.3))
    shade += 0.05 * _blob(side, v, 0.78, -0.45, 0.30, 0.35)  # cheeks
    shade += 0.09 * _blob(side, v, 0.0, 0.68, 0.26, 0.17)  # chin
    shade -= 0.07 * _blob(side, v, 0.66, 0.05, 0.09, 0.14)  # beside the corners of the mouth

    grain = texture.standard_normal((n, n), dtype=np.float32)
    shade += 0.02 * (grain - cv2.blur(grain, (3, 3))) + 0.10 * cv2.GaussianBlur(grain, (0, 0), 4)
    colour = np.float32(looks.skin) * shade[..., None]
    redness = 0.06 * _blob(side, v, 0.8, -0.4, 0.4, 0.4) + 0.05 * _blob(side, v, 0.0, -0.85, 0.25, 0.25)
    colour *= 1 + redness[..., None] * np.float32([0.6, -1, -0.7])
    beard = looks.stubble * _ramp(v, -0.5, -0.25) * (1 - 0.5 * _blob(side, v, 0.85, -0.3, 0.35, 0.45))
    colour *= 1 - (beard * (0.30 + 0.12 * grain))[..., None] * np.float32([1, 0.95, 0.8])

    # Outside the jaw: the neck below, the backdrop beside it.
    jaw = 1 - np.clip((side / looks.face_width) ** 2.8 + (np.clip(v + 0.55, 0, None) / 1.68) ** 2.8, 0, 4)
    inside = _ramp(jaw, -0.06, 0.06)[..., None]
    colour *= 1 - 0.28 * (1 - _ramp(jaw, 0.0, 0.5))[..., None]
    neck = _ramp(side, looks.face_width - 0.18, looks.face_width - 0.12)[..., None]
    beyond = (1 - neck) * np.float32(looks.skin) * (0.48 - 0.1 * u[..., None] ** 2) + neck * np.float32(looks.backdrop)
    return (inside * colour + (1 - inside) * beyond).astype(np.float32)


def _mouth(state: dict[str, np.ndarray], looks: Looks, density: float) -> np.ndarray:
    """Lips and what is between them: (T, h, w, 4) float32, RGB in 0..1 premultiplied by coverage, and coverage.

    Each of the materials is a plane of weights; one product with their colours gives the picture.
    """
    u0, u1, v0, v1 = _BOX
    u = ((np.arange(round((u1 - u0) * density), dtype=np.float32) + 0.5) / density + u0)[None, :]
    v = ((np.arange(round((v1 - v0) * density), dtype=np.float32) + 0.5) / density + v0)[None, :, None]
    s = {name: values[:, None] for name, values in state.items()}  # (T, 1), against u (1, w)
    edge = np.float32(1.4 / density)

    def below(line):
        """1 under a line v(u) of (T, w), 0 above, soft by about a pixel: (T, h, w)."""
        return np.clip(v * (1 / edge) - (line * (1 / edge) - 0.5)[:, None], 0, 1)

    # Contours as functions of u; the lips' outer and inner half-widths shrink with rounding.
    round_, tuck, tip, height, jaw = (np.clip(s[name], 0, 1) for name in ("round", "tuck", "tip", "tongue", "jaw"))
    gap, pressed = 0.48 * np.clip(s["lips"], 0, 1.1), np.clip(-4 * s["lips"], 0, 1)
    half = looks.half_width * (1 + 0.12 * s["width"] - 0.24 * round_ - 0.08 * jaw)
    inner = half * (0.90 - 0.16 * round_)
    outside, inside = np.clip(1 - (u / half) ** 2, 0, 1), np.clip(1 - (u / inner) ** 2, 0, 1)
    arch, opening = np.sqrt(outside), 0.35 * inside + 0.65 * np.sqrt(inside)
    bow = (
        1 - 0.24 * np.exp(-((u / (0.16 * half)) ** 2)) + 0.10 * np.exp(-(((abs(u) - 0.24 * half) / (0.2 * half)) ** 2))
    )
    middle = looks.corners * (u / half) ** 2 * (outside > 0) + 0.012 * np.cos(2.6 * np.pi * u / half) * outside
    plump = 1 + 0.30 * round_ - 0.12 * s["width"] - 0.45 * pressed - 0.25 * np.clip(s["lips"], 0, 1)
    bite = 0.015 - 0.03 * (u / looks.half_width) ** 2  # the edge of the upper teeth
    upper_in = middle - (0.34 * gap + 0.05 * tuck) * opening
    lower_in = middle + 0.66 * gap * opening
    lower_in = (1 - tuck) * lower_in + tuck * np.minimum(lower_in, bite + 0.01)
    upper_out = upper_in - looks.upper_lip * plump * (0.35 * outside + 0.65 * arch) * bow
    lower_out = lower_in + looks.lower_lip * plump * (1 - 0.35 * tuck) * (0.25 * outside + 0.75 * arch)
    present = np.clip((half - abs(u)) / edge + 0.5, 0, 1)[:, None]
    under_lower_out = below(lower_out)
    shape = below(upper_out) * (1 - under_lower_out) * present
    apart = np.clip((lower_in - upper_in) / edge, 0, 1)[:, None]
    hole = below(upper_in) * (1 - below(lower_in)) * (present * apart)

    # Lips: the upper one in shade, the lower one with a highlight, fine vertical creases, a dark seam between them.
    seam = 0.5 * (upper_in + lower_in)
    upper_depth = (v - upper_out[:, None]) / np.maximum(upper_in - upper_out, edge)[:, None]
    lower_depth = (v - lower_in[:, None]) / np.maximum(lower_out - lower_in, edge)[:, None] - 0.37
    upper_tone = 0.93 - 0.24 * np.clip(upper_depth, 0, 1)
    shine = np.exp(-((lower_depth / 0.16) ** 2)) * (0.16 * np.exp(-((u / 0.22) ** 2)))
    lower_tone = np.clip(1.12 - 1.1 * lower_depth**2, 0.6, 1.2) + shine
    tone = upper_tone + (lower_tone - upper_tone) * below(seam)
    tone *= 1 + 0.03 * np.cos(u * 75) - 0.10 * (u / 0.55) ** 2
    together = np.clip(1 - (lower_in - upper_in) / (2 * edge), 0, 1)[:, None]
    tone *= 1 - 0.55 * together * np.exp(-(((v - seam[:, None]) / (0.9 * edge)) ** 2))

    # Between the lips: darkness, tongue, teeth. The upper teeth are fixed to the head, the lower ones to the jaw.
    lower_bite = 0.055 + 0.95 * _JAW_DROP * jaw - 0.04 * (u / looks.half_width) ** 2
    tongue_top = (1 - height) * (0.03 + 0.62 * _JAW_DROP * jaw) + height * (bite + 0.02) + 0.5 * u**2
    tongue = below(tongue_top) * np.clip((0.72 * half - abs(u)) / (3 * edge) + 0.5, 0, 1)[:, None]
    ivory = (1 - 0.9 * (u / looks.half_width) ** 2) * (1 - 0.10 * _ramp(np.cos(u * 2 * np.pi / 0.125), 0.8, 0.95))
    lower_teeth = below(lower_bite) * (1 - tongue * tip[:, None]) * (0.72 * np.clip(ivory, 0, 1))[:, None]
    behind_teeth = (1 - lower_teeth) * (1 - (1 - below(bite)) * (0.95 * np.clip(ivory, 0, 1))[:, None])
    tongue *= (0.60 + 0.40 * tip)[:, None]
    lit = hole * np.clip((v - upper_in[:, None]) / 0.07, 0.5, 1)  # the upper lip casts a shadow

    # The shadow under the lower lip moves with it.
    hollow = (
        np.exp(-(((v - lower_out[:, None] - 0.055) / 0.055) ** 2))
        * (0.30 * np.exp(-((u / (0.62 * half)) ** 2)))[:, None]
    )
    hollow *= under_lower_out * present * (1 - shape)

    materials = (
        (shape * (1 - hole) * tone, (*looks.lips, 0)),
        (lit * behind_teeth * (1 - tongue), (0.16, 0.05, 0.05, 0)),
        (lit * behind_teeth * tongue, (0.78, 0.38, 0.38, 0)),
        (lit * (1 - behind_teeth), (0.90, 0.87, 0.80, 0)),
        (hollow, (*tuple(0.3 * c for c in looks.skin), 1)),
        (shape, (0, 0, 0, 1)),
    )
    weights = np.stack([plane.reshape(len(plane), -1) for plane, _ in materials], axis=1)
    colours = np.array([colour for _, colour in materials], np.float32)
    return (weights.swapaxes(1, 2) @ colours).reshape(*shape.shape, 4)
