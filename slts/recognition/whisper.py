"""Whisper (Radford et al. 2022), the recogniser of w-WER."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from slts.errors import UserError
from slts.recognition import Transcriber


def whisper_transcriber(model: str) -> Transcriber:
    """English words of mono audio (N,) at 16 kHz, decoded greedily, so that equal audio gives equal text.

    Args:
        model: a name such as ``medium``, downloaded once to Whisper's cache, or a checkpoint file of openai-whisper,
            from which nothing but tensors and numbers is read.

    Raises:
        UserError: no such model, a damaged file, or no network for a model that is not in the cache.
    """
    import whisper

    if model not in whisper.available_models() and not Path(model).is_file():
        names = ", ".join(whisper.available_models())
        raise UserError(f"whisper={model}: neither a checkpoint file nor one of {names}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = _load(whisper.load_model, model, device)

    def transcribe(audio: np.ndarray) -> str:
        result = network.transcribe(
            np.ascontiguousarray(audio, np.float32),
            language="en",
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,  # stamps of bad speech move the window on by fractions of a second
            fp16=device == "cuda",
        )
        return result["text"].strip()

    return transcribe


def _load(load_model: Callable, model: str, device: str) -> torch.nn.Module:
    try:
        return load_model(model, device)  # whisper loads with weights_only=True: no code in the file is run
    except (pickle.UnpicklingError, KeyError, TypeError, EOFError, ValueError) as error:
        raise UserError(f"whisper={model}: not a checkpoint of openai-whisper ({_first_line(error)})") from None
    except RuntimeError as error:
        raise UserError(f"whisper={model}: cannot be loaded ({_first_line(error)})") from None
    except OSError as error:
        if Path(model).is_file():
            raise UserError(f"whisper={model}: cannot be read ({error.strerror or error})") from None
        raise UserError(
            f"whisper={model}: not in the cache and cannot be downloaded ({error}); download it where there is a "
            "network and give the file, whisper=FILE.pt"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:120]
