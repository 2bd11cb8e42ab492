"""Metrics: by how many decibels the generated sound is louder, and how loud it is."""

import numpy as np

from slts.metrics.columns import Column


def gain(reference, generated) -> float:
    power = [np.square(np.asarray(side.audio, float)).mean() + 1e-9 for side in (reference, generated)]
    return float(10 * np.log10(power[1] / power[0]))


GAIN = Column("gain", "gain dB", "power of the generated over that of the recorded sound", "dB", "none", 1,
              compare=gain, tables=("results",))  # fmt: skip


def level(generated) -> float:
    return float(10 * np.log10(np.square(generated).mean() + 1e-9))


LEVEL = Column("level", "level dB", "power of the generated sound", "dB", "none", 1, predict=level)
