"""A run's folder: what it holds, and when it may be continued.

``config.yaml`` the resolved config, ``corpus.json`` what the task needs to know of its corpus, ``metrics.jsonl`` the
append-only truth, ``checkpoints/``, ``best`` and ``last`` links to two of them, ``samples/``, ``results.jsonl``.
"""

import fcntl
import hashlib
import json
import os
import socket
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from slts.data.facts import CORPUS_BYTES, corpus_facts
from slts.errors import UserError
from slts.files import is_unfinished, write_whole
from slts.folders import read_plain
from slts.secrecy import without_secrets
from slts.training.hub import by_address
from slts.training.run_config import read_run_config

HARMLESS = (
    "data", "data_from", "corpus_command", "name", "runs", "workers", "cache_gb", "disk_gb", "verify_shards",
    "log_every", "keep_checkpoints", "dry_run", "tracking", "most_skipped", "watchdog_minutes",
    "profile", "profile_from", "profile_steps",
)  # fmt: skip
"""Keys that may differ when a run is continued: none changes what is learned."""
LOCK = ".lock"


def published(config: DictConfig) -> DictConfig:
    """A copy for others to read: without what its data= lets in, and runs of the hub by their address."""
    copy = OmegaConf.create(by_address(OmegaConf.to_container(config)))
    copy.data = without_secrets(str(copy.data))
    return copy


def config_hash(config: DictConfig) -> str:
    """Twelve hex digits over everything that changes what is learned."""
    kept = {k: v for k, v in by_address(OmegaConf.to_container(config)).items() if k not in HARMLESS}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:12]


class RunDirectory:
    """``runs/NAME``.

    Raises:
        UserError: on opening a folder that holds another configuration or corpus, or cannot be written.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.samples = self.path / "samples"
        self.metrics = self.path / "metrics.jsonl"
        self.results = self.path / "results.jsonl"

    def open_for_training(self, config: DictConfig, corpus: dict) -> None:
        """Creates the folder, or accepts it as the same run, and keeps other processes out while this one lives."""
        self.check(config, corpus)
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            self._lock()
            if not (self.path / "config.yaml").exists():
                write_whole(self.path / "corpus.json", json.dumps(corpus, indent=1, default=list).encode())
                write_whole(self.path / "config.yaml", _to_yaml(published(config)).encode())
        except OSError as error:
            raise UserError(f"{self.path} cannot be written ({error.strerror}); choose another runs=") from None

    def check(self, config: DictConfig, corpus: dict) -> None:
        """Whether training may begin or go on here; writes nothing."""
        if (self.path / "config.yaml").exists():
            self._refuse_another(config, corpus)
        elif self.path.exists():
            begun = {self.samples, self.checkpoints, self.path / "corpus.json", self.path / LOCK}
            others = {file for file in self.path.iterdir() if not is_unfinished(file)} - begun
            if others:
                raise UserError(f"{self.path} exists and is not a run; choose another name=")

    def _lock(self) -> None:
        # A POSIX lock and not flock: loader processes do not inherit it, so it dies with the process that trains.
        self.lock = (self.path / LOCK).open("a+")
        try:
            fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.lock.seek(0)
            raise UserError(
                f"{self.path} is being trained by {self.lock.read() or 'another process'}; wait for it, stop it, or"
                " choose another name="
            ) from None
        self.lock.truncate(0)
        self.lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        self.lock.flush()

    def _refuse_another(self, config: DictConfig, corpus: dict) -> None:
        old, new = (by_address(OmegaConf.to_container(c)) for c in (self.config(), config))
        changed = [
            f"{key} ({was} there, {now} here)"
            for key, was, now in _differences(old, new)
            if key.split(".")[0] not in HARMLESS
        ]
        if changed:
            raise UserError(
                f"{self.path} holds a run of another configuration: {', '.join(changed)}; choose another name= or give "
                "the same keys"
            )
        if self.corpus()["hash"] != corpus["hash"]:
            raise UserError(
                f"{self.path} was trained on other data than data={published(config).data}; choose another name="
            )

    def config(self) -> DictConfig:
        """The resolved config of the run. Raises UserError when there is no run here, or its config.yaml is none."""
        file = self.path / "config.yaml"
        try:
            return _found_data(read_run_config(file))
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"run={self.path} holds no config.yaml; give the folder of a run of slts train") from None

    def corpus(self) -> dict:
        """corpus.json as it was at training. Raises UserError when it is missing or none."""
        file = self.path / "corpus.json"
        try:
            return corpus_facts(read_plain(file, CORPUS_BYTES))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(
                f"{file} is no corpus.json of slts train ({reason}); copy that of the run's corpus there"
            ) from None


def _to_yaml(config: DictConfig) -> str:
    """With ``data_from``, the folder in which a relative ``data`` was typed."""
    return OmegaConf.to_yaml({**OmegaConf.to_container(config), "data_from": str(Path.cwd())})  # pyright: ignore[reportGeneralTypeIssues]  a dict, of a DictConfig


def _found_data(config: DictConfig) -> DictConfig:
    """``data`` as typed, or the folder it named where it was typed if there is one; never an address."""
    typed, place = config.get("data"), config.get("data_from")
    if isinstance(typed, str) and isinstance(place, str) and (folder := Path(place, typed)).is_dir():
        config.data = str(folder)
    return config


def _differences(old: object, new: object, prefix: str = "") -> list[tuple[str, object, object]]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            difference
            for key in sorted({*old, *new})
            for difference in _differences(old.get(key), new.get(key), f"{prefix}{key}.")
        ]
    return [] if old == new else [(prefix.rstrip("."), old, new)]
