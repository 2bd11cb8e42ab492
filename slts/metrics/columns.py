"""Every figure that is reported, in one list: what it is called, what it means, and where it is shown.

Result rows, the table of clips, ``failed``, table headings, W&B panels and the objectives of sweeps are read from here.
A new metric of a pair of sounds is one function, reference and generated to a float, and one ``Column`` with it; it is
then also there as ``a_NAME``, on the overlap after alignment. Columns of another package come by the entry point
``slts.metrics``: a Column, or a list of them. One of the generated sound alone has ``predict`` in place of ``compare``,
and is asked for by ``mos=[FUNCTION]``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from slts.metrics.cepstral import mcd, mcd_db
from slts.metrics.intelligibility import stoi_estoi
from slts.metrics.predicted_opinion import distill, dnsmos
from slts.metrics.quality import pesq
from slts.plugins import load, plugged_in


@dataclass(frozen=True)
class Column:
    """One figure of a result row."""

    name: str
    """In results.jsonl and, where each clip has one, in clips-SPLIT.csv."""
    title: str
    """In headings of tables."""
    means: str
    """A sentence."""
    unit: str = ""
    better: str = "high"
    """high, low, or none where nothing is better."""
    digits: int = 3
    judge: str = "speech"
    """What is judged: speech, words, offsets or pictures; or ``corpus`` and ``opinion``, of tables alone."""
    compare: Callable | None = None
    """(reference, generated) of equal length -> float, or one float for each column with this function, in their
    order. The figure is then the mean over clips, and a clip without it counts as failed."""
    predict: Callable | None = None
    """(generated,) -> float, or one float for each column with this function, in their order."""
    tables: tuple[str, ...] = ()
    """Where it is shown besides its row: ``results``, the table of all; ``offsets``, that of offsets against truth;
    ``evidence``, the means over seeds."""
    validation: str = ""
    """Its name in validation during training (``val/NAME``), where it is logged there."""
    panel: tuple[str, str] | None = None
    """Section and title of the panel in which validation draws it."""


_EVERYWHERE = ("results", "evidence")
_COMPARED = (
    Column("stoi", "STOI", "short-time objective intelligibility", compare=stoi_estoi, tables=_EVERYWHERE),
    Column("estoi", "ESTOI", "extended STOI", compare=stoi_estoi, tables=_EVERYWHERE),
    Column("pesq", "PESQ", "perceptual quality, MOS-LQO", compare=pesq, tables=_EVERYWHERE),
    Column("mcd", "MCD", "the paper's cepstral distance", better="low", compare=mcd, tables=_EVERYWHERE),
    Column("mcd_db", "MCD dB", "mel-cepstral distortion, c1 to c24", "dB", "low", 2, compare=mcd_db),
)
_PREDICTED = (  # dns_overall and dns_p808 are VERSA's names
    Column("dns_signal", "DNSMOS SIG", "opinion of the speech, predicted by DNSMOS P.835", predict=dnsmos),
    Column("dns_background", "DNSMOS BAK", "the same of the background", predict=dnsmos),
    Column("dns_overall", "DNSMOS OVRL", "the same of both", predict=dnsmos, tables=("results",)),
    Column("dns_p808", "DNSMOS P.808", "opinion of the quality, predicted by DNSMOS P.808", predict=dnsmos),
    Column("distill_mos", "Distill-MOS", "opinion of the quality, predicted by Distill-MOS", predict=distill,
           tables=("results",)),
)  # fmt: skip
_VALIDATED = {
    "stoi": ("Speech", "plain STOI"),
    "a_stoi": ("Speech", "aligned scores"),
    "a_estoi": ("Speech", "aligned scores"),
}


def _offset(name: str, title: str, means: str, *tables: str, **more) -> Column:
    return Column(name, title, means, judge="offsets", tables=tables, **more)


_MS = {"unit": "ms", "digits": 1}
_R2, _ERROR = ("Synchronisation", "R2 of the offsets"), ("Synchronisation", "offset error (ms)")
_OFFSETS = (
    _offset("offset_r2_truth", "R2 (truth)", "R2 of DSM's offsets against the known ones", *_EVERYWHERE, "offsets",
            validation="offset_r2", panel=_R2),
    _offset("offset_r2_truth_centred", "R2 around the constant", "the same without the constant", *_EVERYWHERE,
            "offsets", validation="offset_r2_centred", panel=_R2),
    _offset("offset_bias_ms", "constant ms", "mean of found less true offsets", *_EVERYWHERE, "offsets", **_MS,
            better="none", validation="offset_bias_ms", panel=_ERROR),
    _offset("offset_mae_ms", "MAE ms", "mean of |found less true|", *_EVERYWHERE, "offsets", **_MS, better="low",
            validation="offset_mae_ms", panel=_ERROR),
    _offset("offset_within_10ms", "within 10 ms", "share of clips whose offset is found to 10 ms", "results", "offsets",
            validation="offset_within_10ms"),
    _offset("offset_within_a_frame", "within a frame", "share of clips whose offset is found to one video frame",
            validation="within_a_frame", panel=("Synchronisation", "share within a frame")),
    _offset("offset_mean_ms", "mean ms", "mean of the offsets found", **_MS, better="none", validation="dsm_offset_ms"),
    _offset("offset_r2_whole", "R2 (truth + natural)", "R2 against injected and natural offset together", "evidence"),
    _offset("offset_r2_whole_centred", "the same around the constant", "the same without the constant", "evidence"),
    _offset("offset_bias_whole_ms", "constant (+ natural) ms", "constant against both together", "evidence", **_MS,
            better="none"),
    _offset("offset_mae_whole_ms", "MAE (+ natural) ms", "MAE against both together", "evidence", **_MS, better="low"),
    _offset("offset_calibration_ms", "constant by calibration ms", "the constant found without labels", "evidence",
            **_MS, better="none"),
    _offset("model_offset_ms", "o_m ms", "the model's own offset, mean of o_f less o_d", *_EVERYWHERE, "offsets", **_MS,
            better="none"),
    _offset("offset_r2_frontend", "R2 (F)", "R2 of DSM's offsets against the frontend's", *_EVERYWHERE),
    _offset("offset_r2_syncnet", "R2 (SN)", "R2 of DSM's offsets against SyncNet's", *_EVERYWHERE),
    _offset("offset_at_edge", "P(k) at the edge", "share of clips whose P(k) peaks at +-K", "evidence", better="low",
            validation="dsm_at_edge", panel=("Synchronisation", "share at the edge of the search")),
    _offset("lse_d", "LSE-D", "SyncNet's distance of picture and sound, one of them generated", "results",
            better="low"),
    _offset("lse_c", "LSE-C", "SyncNet's confidence in picture and sound, one of them generated", "results"),
)  # fmt: skip


def _picture(name: str, title: str, means: str, *tables: str, **more) -> Column:
    return Column(name, title, means, judge="pictures", tables=tables, **more)


_PICTURES = (
    _picture("mouth_l1", "mouth L1", "mean absolute difference of drawn and recorded lower halves, of 1", *_EVERYWHERE,
             better="low", digits=4, validation="mouth_l1", panel=("Pictures", "L1 of the mouth")),
    _picture("mouth_psnr", "mouth PSNR", "peak signal-to-noise ratio of the lower half", *_EVERYWHERE, unit="dB",
             digits=2, validation="mouth_psnr", panel=("Pictures", "PSNR of the mouth (dB)")),
    _picture("mouth_ssim", "mouth SSIM", "structural similarity of the lower half's luma", *_EVERYWHERE,
             validation="mouth_ssim", panel=("Pictures", "SSIM of the mouth")),
    _picture("drawn_offset_ms", "offset of the output ms", "mean offset of the drawn pictures by SyncNet", "results",
             **_MS, better="none"),
    _picture("drawn_offset_estimated_ms", "offset of the output ms (estimator)",
             "mean offset of the drawn pictures by the shipped estimator, where it is sure", "results", **_MS,
             better="none"),
    _picture("drawn_offset_sure", "sure of the output", "share of drawn clips whose offset the estimator is sure of"),
    _picture("recorded_offset_estimated_ms", "offset (recorded) ms", "the same of the recorded pictures", **_MS,
             better="none"),
    _picture("recorded_offset_sure", "sure (recorded)", "the same of the recorded pictures"),
    _picture("mismatched_offset_sure", "sure (mismatched)", "the same with another clip's sound: must be near 0",
             better="low"),
    _picture("mouth_motion_r", "mouth motion r", "correlation over time of drawn and recorded openings of the mouth",
             "results", validation="mouth_motion_r", panel=("Pictures", "motion of the mouth")),
    _picture("mouth_motion_share", "mouth motion share", "spread of the drawn opening as a share of the recorded one's",
             better="none", validation="mouth_motion_share", panel=("Pictures", "motion of the mouth")),
    _picture("fid", "FID", "Frechet distance of Inception features of drawn and recorded pictures", "results",
             better="low", digits=2),
    *(column
      for name, what in (("recorded", "recorded pictures with their own sound"),
                         ("unsynced", "recorded pictures with the sound that the lips are to say"),
                         ("mismatched", "recorded pictures with another clip's sound"),
                         ("still", "the first recorded picture, standing still"))
      for column in (_picture(f"lse_d_{name}", f"LSE-D ({name})", f"LSE-D of {what}", better="low"),
                     _picture(f"lse_c_{name}", f"LSE-C ({name})", f"LSE-C of {what}"))),
)  # fmt: skip
_FRONTEND = Column("frontend_at_edge", "o_f at the edge", "share of clips whose o_f is at +-300 ms", better="low")
_WORDS = (
    Column("w_wer", "w-WER %", "word error rate of Whisper", "%", "low", 2, "words", tables=_EVERYWHERE),
    Column("w_wer_reference", "w-WER (heard) %", "of clips without text: against Whisper on their recorded sound",
           "%", "low", 2, "words"),
    Column("k_wer", "k-WER %", "word error rate of the corpus's own recogniser", "%", "low", 2, "words",
           tables=_EVERYWHERE),
)  # fmt: skip
_COUNTS = (
    *(Column(name, name, f"clips of the {name} split", "", "none", 0, "corpus") for name in ("train", "val", "test")),
    *(Column(f"{name}_h", f"{name} hours", f"hours of the {name} split", "h", "none", 2, "corpus")
      for name in ("train", "val", "test")),
    Column("speakers", "speakers", "people of the corpus", "", "none", 0, "corpus"),
    Column("clips", "clips", "clips that were scored", "", "none", 0, "corpus"),
    Column("mos_i", "MOS intelligibility", "mean opinion of intelligibility", judge="opinion"),
    Column("mos_n", "MOS naturalness", "mean opinion of naturalness", judge="opinion"),
)  # fmt: skip


def _plugged_in() -> Iterator[Column]:
    for entry in plugged_in("metrics"):
        found = load(entry)
        yield from [found] if isinstance(found, Column) else found


def _aligned(column: Column) -> Column:
    return replace(column, name=f"a_{column.name}", title=f"a-{column.title}", means=f"{column.means}, aligned")


def _listed() -> tuple[Column, ...]:
    plugged = tuple(_plugged_in())
    compared = [*_COMPARED, *(column for column in plugged if column.compare)]
    pairs = [
        replace(column, validation=column.name, panel=_VALIDATED[column.name]) if column.name in _VALIDATED else column
        for column in (*compared, *map(_aligned, compared))
    ]
    others = (column for column in plugged if not column.compare)
    return (*pairs, *_PREDICTED, _FRONTEND, *_OFFSETS, *_PICTURES, *_WORDS, *_COUNTS, *others)


COLUMNS = {column.name: column for column in _listed()}
"""By name, in the order of result rows."""
SCORES = tuple(name for name, column in COLUMNS.items() if column.compare)
"""Figures of pairs of sounds, plain and then aligned; a clip without one of them counts in ``failed``."""
PLAIN = tuple(name for name in SCORES if not name.startswith("a_"))
PREDICTED = tuple(name for name, column in COLUMNS.items() if column.predict)
"""Figures of generated sounds alone, of packages that a user installs."""


def columns(judge: str | None = None, table: str | None = None) -> tuple[str, ...]:
    """Names of the columns of one judge, or shown in one table, or both."""
    return tuple(
        name
        for name, column in COLUMNS.items()
        if (judge is None or column.judge == judge) and (table is None or table in column.tables)
    )


def validated(judge: str) -> tuple[str, ...]:
    """``val/NAME`` of what a judge logs in validation."""
    return tuple(
        f"val/{column.validation}" for column in COLUMNS.values() if column.validation and column.judge == judge
    )
