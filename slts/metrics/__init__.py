"""How well generated speech matches its reference.

One function a metric, arrays in, floats out. Audio is mono at 16 kHz in [-1, 1], arrays (N,). Where a metric has no
value it raises Undefined with the reason; no metric returns a stand-in number.

| function | of | gives |
|---|---|---|
| ``stoi``, ``estoi`` | reference, generated of equal length | intelligibility, about 0 to 1 |
| ``pesq`` | the same, ``mode`` nb, nb8k or wb | MOS-LQO, about 1 to 4.55 (wb 4.64) |
| ``mcd`` | the same | the paper's cepstral distance, 0 is identity |
| ``mcd_db`` | the same | mel-cepstral distortion c1 ... c24 in decibels |
| ``frontend_offset``, ``refined_offset`` | reference, generated | lag of the generated audio in ms, late is positive |
| ``overlap`` | reference, generated, lag in ms | both cut to what they share: aligned scores are scores of these |
| ``score_pair``, ``score_pairs`` | one pair, many | every metric by name, plain, aligned and of the whole reference |
| ``summarise`` | rows of score_pairs | means, 95 % intervals, failures |

Word error rates are in ``slts.metrics.words``, opinion scores of ratings in ``slts.metrics.opinion``, how well offsets
agree in ``slts.offsets.agreement``.
"""

from slts.metrics.alignment import frontend_offset, overlap, refined_offset
from slts.metrics.cepstral import mcd, mcd_db
from slts.metrics.excerpt import Undefined
from slts.metrics.intelligibility import estoi, stoi
from slts.metrics.quality import pesq
from slts.metrics.scoring import METRICS, score_pair, score_pairs
from slts.metrics.summary import summarise

__all__ = [
    "METRICS",
    "Undefined",
    "estoi",
    "frontend_offset",
    "mcd",
    "mcd_db",
    "overlap",
    "pesq",
    "refined_offset",
    "score_pair",
    "score_pairs",
    "stoi",
    "summarise",
]
