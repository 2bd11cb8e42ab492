"""Mean opinion scores, 1 to 5, that networks predict from a generated sound alone, without its reference.

Networks and weights are those of packages that a user installs: DNSMOS of ``speechmos`` (Reddy, Gopal and Cutler, arXiv
2110.01763 for P.835 and 2010.15258 for P.808), run by onnxruntime, and Distill-MOS of ``distillmos`` (Stahl and Gamper,
2025). Sounds are brought to full scale first, as VERSA does, since DNSMOS falls with the level.
"""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from slts.audio import SAMPLE_RATE
from slts.audio.mel import slaney_filters
from slts.errors import UserError
from slts.metrics.excerpt import check_audio

WINDOW_S = 9.01
"""What DNSMOS hears at once; shorter sounds are repeated, of longer ones a window begins every second."""
P835 = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)
"""Polynomials, highest power first, that bring the network's speech, background and overall quality to MOS."""
MEL_WINDOW, MEL_BANDS = 321, 120
DISTILL_WINDOW = 122880
"""Samples that Distill-MOS hears at once; windows of longer sounds begin at most a second apart."""
AT_ONCE = 8


def dnsmos(generated: np.ndarray) -> tuple[float, float, float, float]:
    """DNSMOS of audio (N,) at 16 kHz: P.835's speech, background and overall quality, and P.808's overall quality.

    Raises Undefined if it is empty, silent or not finite, UserError where speechmos or onnxruntime is not installed.
    """
    p835, p808 = _dnsmos_networks()
    audio, count = _at_full_scale(generated), int(WINDOW_S * SAMPLE_RATE)
    while len(audio) < count:
        audio = np.tile(audio, 2)
    heard = []
    for second in range(int(len(audio) // SAMPLE_RATE - WINDOW_S) + 1):
        window = audio[second * SAMPLE_RATE : int((second + WINDOW_S) * SAMPLE_RATE)]
        if len(window) < count:  # rounding makes some a sample short, and the published script leaves these out
            continue
        [[qualities]] = p835.run(None, {"input_1": window[None]})
        [[[overall]]] = p808.run(None, {"input_1": _decibels(window[:-160])[None]})
        heard.append([*map(np.polyval, P835, qualities), overall])
    speech, background, both, overall = np.mean(heard, 0).tolist()
    return speech, background, both, overall


def distill(generated: np.ndarray) -> float:
    """Distill-MOS of audio (N,) at 16 kHz.

    Raises Undefined if it is empty, silent or not finite, UserError where distillmos is not installed.
    """
    network = _distill_network()
    audio = torch.from_numpy(_at_full_scale(generated))
    beyond = max(len(audio) - DISTILL_WINDOW, 0)
    audio = torch.nn.functional.pad(audio, (0, max(DISTILL_WINDOW - len(audio), 0)))
    begins = np.linspace(0, 1, -(-beyond // SAMPLE_RATE) + 1) * beyond
    windows = audio.unfold(0, DISTILL_WINDOW, 1)[begins.astype(int)]
    with torch.inference_mode():
        return float(torch.cat([network(some) for some in windows.split(AT_ONCE)]).mean())


def _at_full_scale(generated: np.ndarray) -> np.ndarray:
    check_audio(generated, "generated")
    return (generated / np.abs(generated).max()).astype(np.float32)


def _decibels(audio: np.ndarray) -> np.ndarray:
    """The picture that P.808's network sees: bands (T, 120), 0 dB at the loudest is 1, -40 dB is 0; 80 dB deep."""
    window = torch.hann_window(MEL_WINDOW, dtype=torch.float64)
    frames = torch.stft(
        torch.from_numpy(audio).double(), MEL_WINDOW, 160, window=window, pad_mode="constant", return_complex=True
    )
    power = slaney_filters(MEL_BANDS, window=MEL_WINDOW).double() @ frames.abs().square()
    bands = 10 * power.clamp_min(1e-10).log10()
    bands = (bands - bands.max()).clamp_min(-80)
    return ((bands + 40) / 40).T.float().numpy()


@cache
def _dnsmos_networks() -> tuple:
    """The networks of P.835 and P.808, each on one thread: pairs are scored in processes of their own."""
    spec = importlib.util.find_spec("speechmos")  # its code is not run: it needs librosa, and takes every core
    try:
        import onnxruntime  # pyright: ignore[reportMissingImports]  an extra
    except ImportError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise UserError("mos=dnsmos needs speechmos and onnxruntime: pip install 'slts[mos]'")
    folder = Path(spec.submodule_search_locations[0]) / "dnsmos_models"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return tuple(
        onnxruntime.InferenceSession(folder / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
        for name in ("sig_bak_ovr", "model_v8")
    )


@cache
def _distill_network() -> torch.nn.Module:
    # It imports torchaudio, which it needs for its own command line alone.
    absent = "torchaudio" not in sys.modules
    try:
        sys.modules.setdefault("torchaudio", ModuleType("torchaudio"))
        from distillmos.sqa import (  # pyright: ignore[reportMissingImports]  installed by hand
            DEFAULT_WEIGHTS_CHKPT,
            ConvTransformerSQAModel,
        )
    except ImportError:
        raise UserError(
            "mos=distill needs distillmos: pip install --no-deps distillmos==0.9.1 xls-r-sqa==0.1.0"
        ) from None
    finally:
        if absent:
            del sys.modules["torchaudio"]
    network = ConvTransformerSQAModel(load_weights=False, segmenting_in_forward=False)
    try:
        network.load_state_dict(torch.load(DEFAULT_WEIGHTS_CHKPT, map_location="cpu", weights_only=True)["model"])
    except Exception as error:  # a damaged file may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise UserError(f"mos=distill: {DEFAULT_WEIGHTS_CHKPT} holds no weights of Distill-MOS ({reason})") from None
    return network.eval()
