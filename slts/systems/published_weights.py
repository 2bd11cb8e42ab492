"""Files of weights from anywhere: state dicts of PyTorch and TorchScript archives, read without executing anything."""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn

from slts.errors import UserError

KNOWN = (
    ("face_decoder_blocks.", "Wav2Lip's generator"),
    ("binary_pred.", "Wav2Lip's visual quality discriminator"),
    ("face_encoder.", "Wav2Lip's expert (SyncNet_color)"),
    ("netcnnlip.", "SyncNet (syncnet_v2.model)"),
    ("conv1_1.", "the face detector S3FD"),
)
"""How names in the state dicts of networks begin, by which a wrong file is told."""
LARGEST = 2**31
"""Bytes of tensors that a TorchScript archive may hold."""


def load_published(network: nn.Module, file: str, key: str) -> None:
    """Loads a file's weights into a network of exactly these names and shapes.

    Args:
        network: of the published size.
        file: a state dict, a checkpoint with one as ``state_dict``, or a TorchScript archive of the network; of the
            names one leading ``module.`` is taken off.
        key: the option that named the file.

    Raises:
        UserError: one line: the file cannot be read, is no file of weights, or holds another network, and which.
    """
    expected = network.state_dict()
    wanted = _network(expected) or type(network).__name__
    state = {name.removeprefix("module."): value for name, value in _read(Path(file), f"{key}={file}", wanted).items()}
    # Old PyTorch did not count the batches.
    optional = {name for name in expected if name.endswith("num_batches_tracked")}
    faults = [
        f"{name} is missing" if name not in state else f"{name} has shape {tuple(state[name].shape)}"
        for name, value in expected.items()
        if name not in optional and (name not in state or state[name].shape != value.shape)
    ] + [f"{name} is unknown" for name in state if name not in expected]
    if faults:
        found = _network(state)
        other = f"holds {found}, {len(state)} tensors" if found and found != wanted else f"{faults[0]}"
        more = f", and {len(faults) - 1} more differ" if len(faults) > 1 and other == faults[0] else ""
        raise UserError(f"{key}={file}: {other}{more}; give the published weights of {wanted}")
    network.load_state_dict(state, strict=False)


def _network(state: dict) -> str | None:
    return next((name for start, name in KNOWN if any(one.startswith(start) for one in state)), None)


def _read(path: Path, where: str, wanted: str) -> dict[str, Tensor]:
    """The tensors of a file by name. Raises UserError."""
    advice = f"give the published weights of {wanted}"
    try:
        with path.open("rb") as file:
            begin = file.read(512).lstrip().lower()
        if begin.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
            raise UserError(f"{where} is a web page that was saved instead of the weights; download the file again")
        if _is_torchscript(path):
            state = _read_torchscript(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{where} cannot be read ({error.strerror or error})") from None
    except Exception as error:  # a damaged file may raise anything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        if begin.startswith((b"pk", b"\x80")):
            size = path.stat().st_size
            reason = f"cut off or damaged at {size / 1e6:.1f} MB, or holding more than tensors: {reason}"
        raise UserError(f"{where}: no weights that can be read safely ({reason}); {advice}") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{where}: holds a {type(state).__name__} and no state dict of tensors; {advice}")
    return state


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name or name.endswith("/constants.pkl") for name in archive.namelist())


class _Stub:
    """In the place of a class of the archive: keeps the attributes of its instance and does nothing."""

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, dict) else {}


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    """Parameters and buffers of a TorchScript archive by name; none of its code is looked at.

    Only what rebuilds tensors is allowed in its pickle; each class of the archive becomes a stub.
    """
    with zipfile.ZipFile(path) as archive:
        [pickled] = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        folder = pickled.removesuffix("data.pkl")
        if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
            raise ValueError(f"more than {LARGEST / 2**30:.0f} GB in it")

        class Reader(pickle.Unpickler):
            def find_class(self, module: str, name: str):
                if module.startswith("__torch__"):
                    return _Stub
                allowed = {
                    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
                    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
                    ("collections", "OrderedDict"): OrderedDict,
                }
                if (module, name) in allowed:
                    return allowed[module, name]
                if module == "torch" and name in STORAGES:
                    return STORAGES[name]
                if module == "torch.jit._pickle" and name in ("build_intlist", "build_doublelist", "build_boollist"):
                    return list
                if module == "torch.jit._pickle" and name in ("build_tensorlist", "restore_type_tag"):
                    return lambda data, *_: data
                raise pickle.UnpicklingError(f"{module}.{name} has no place in it")

            def persistent_load(self, identity: tuple):
                kind, dtype, number, _, count = identity
                data = archive.read(f"{folder}data/{number}")
                if kind != "storage" or len(data) < count * dtype.itemsize:
                    raise pickle.UnpicklingError("a tensor is cut off")
                values = torch.frombuffer(bytearray(data), dtype=dtype, count=count) if count else torch.empty(0)
                return torch.storage.TypedStorage(wrap_storage=values.untyped_storage(), dtype=dtype, _internal=True)

        with archive.open(pickled) as file:
            root = Reader(file).load()
    return dict(_tensors(root, ""))


STORAGES = {"FloatStorage": torch.float32, "HalfStorage": torch.float16, "LongStorage": torch.int64}


def _tensors(stub: object, prefix: str):
    for name, value in getattr(stub, "state", {}).items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        else:
            yield from _tensors(value, f"{prefix}{name}.")
