"""The speakers of the generated corpus: a voice and a face each."""

from dataclasses import dataclass

from slts.corpora.synthetic.mouth import Looks


@dataclass(frozen=True)
class Speaker:
    voice: str
    """espeak voice file, with its variant after the plus sign. Names such as ``en-gb`` are not found by espeak-ng.
    Variants with breath (f2, f3, f5) do not repeat exactly even in a fresh process."""
    rate: int
    """Words a minute; every GRID sentence then takes less than 2.2 s."""
    pitch: int
    """0..100 on espeak's scale; the median pitch is in the comment beside each speaker."""
    looks: Looks


SPEAKERS = (
    Speaker(  # man, British, 96 Hz
        "gmw/en-GB-x-rp+m3", 160, 35,
        Looks(skin=(0.86, 0.66, 0.55), lips=(0.74, 0.42, 0.40), stubble=0.35, backdrop=(0.20, 0.55, 0.70)),
    ),
    Speaker(  # woman, American, 190 Hz
        "gmw/en-US+f4", 165, 55,
        Looks(skin=(0.93, 0.74, 0.64), lips=(0.80, 0.34, 0.38), half_width=0.53, upper_lip=0.14, lower_lip=0.20,
              corners=-0.03, face_width=1.04, backdrop=(0.75, 0.72, 0.66)),
    ),
    Speaker(  # man, Scottish, 89 Hz
        "gmw/en-GB-scotland+m7", 160, 20,
        Looks(skin=(0.46, 0.30, 0.22), lips=(0.46, 0.24, 0.23), half_width=0.61, upper_lip=0.16, lower_lip=0.21,
              corners=0.015, face_width=1.22, backdrop=(0.35, 0.38, 0.42)),
    ),
    Speaker(  # woman, British, 252 Hz
        "gmw/en-GB-x-rp+Annie", 160, 55,
        Looks(skin=(0.72, 0.52, 0.40), lips=(0.66, 0.30, 0.31), half_width=0.55, upper_lip=0.13, lower_lip=0.18,
              corners=-0.015, face_width=1.08, backdrop=(0.55, 0.62, 0.50)),
    ),
    Speaker(  # man, Caribbean, 98 Hz
        "gmw/en-029+m1", 160, 50,
        Looks(skin=(0.36, 0.23, 0.17), lips=(0.42, 0.20, 0.20), half_width=0.59, upper_lip=0.17, lower_lip=0.22,
              face_width=1.14, stubble=0.15, backdrop=(0.62, 0.52, 0.42)),
    ),
    Speaker(  # woman, American, 186 Hz
        "gmw/en-US+steph", 160, 50,
        Looks(skin=(0.89, 0.70, 0.62), lips=(0.78, 0.50, 0.48), half_width=0.56, upper_lip=0.09, lower_lip=0.14,
              corners=0.02, face_width=1.10, backdrop=(0.30, 0.30, 0.34)),
    ),
)  # fmt: skip
