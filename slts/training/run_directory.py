"""A run's folder: what it holds, and when it may be continued.

``config.yaml`` the resolved config, ``corpus.json`` what the task needs to know of its corpus, ``metrics.jsonl`` the
append-only truth, ``checkpoints/``, ``best`` and ``last`` links to two of them, ``samples/``, ``results.jsonl``.
"""

import hashlib
import json
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from slts.errors import UserError

HARMLESS = ("data", "name", "runs", "workers", "cache_gb", "log_every", "keep_checkpoints", "dry_run", "tracking")
"""Keys that may differ when a run is continued: none changes what is learned."""


def config_hash(config: DictConfig) -> str:
    """Twelve hex digits over everything that changes what is learned."""
    kept = {k: v for k, v in OmegaConf.to_container(config).items() if k not in HARMLESS}
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
        """Creates the folder, or accepts it as the same run."""
        if (self.path / "config.yaml").exists():
            self._refuse_another(config, corpus)
            return
        begun = {self.samples, self.checkpoints, self.path / "corpus.json"}
        if self.path.exists() and set(self.path.iterdir()) - begun:
            raise UserError(f"{self.path} exists and is not a run; choose another name=")
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            (self.path / "corpus.json").write_text(json.dumps(corpus, indent=1))
            OmegaConf.save(config, self.path / "config.yaml")
        except OSError as error:
            raise UserError(f"{self.path} cannot be written ({error.strerror}); choose another runs=") from None

    def _refuse_another(self, config: DictConfig, corpus: dict) -> None:
        old, new = (OmegaConf.to_container(c) for c in (self.config(), config))
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
            raise UserError(f"{self.path} was trained on other data than data={config.data}; choose another name=")

    def config(self) -> DictConfig:
        """The resolved config of the run. Raises UserError when there is no run here."""
        try:
            return OmegaConf.load(self.path / "config.yaml")
        except OSError:
            raise UserError(f"run={self.path} holds no config.yaml; give the folder of a run of slts train") from None

    def corpus(self) -> dict:
        """corpus.json as it was at training."""
        return json.loads((self.path / "corpus.json").read_text())


def _differences(old: object, new: object, prefix: str = "") -> list[tuple[str, object, object]]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            difference
            for key in sorted({*old, *new})
            for difference in _differences(old.get(key), new.get(key), f"{prefix}{key}.")
        ]
    return [] if old == new else [(prefix.rstrip("."), old, new)]
