"""Runs of the Hugging Face Hub: ``hf:ORG/NAME``, or ``hf:ORG/NAME@REVISION`` for a branch, a tag or a commit.

They are named like addresses of data: by a command's own config and by nothing that is read from a file. Of what lies
there only ``FILES`` are fetched, none of which is executed: weights without pickle, and texts that are checked like
those of any run that comes from elsewhere. ``huggingface_hub`` keeps them in its cache, by commit, which also serves
where the hub does not answer.
"""

import re
import sys
from pathlib import Path

from omegaconf import OmegaConf

from slts.config import Typed
from slts.errors import UserError
from slts.schema import Key

FILES = ("config.yaml", "corpus.json", "best/model.safetensors", "best/state.json")
"""What a command needs of a run."""
STALE = ["results.jsonl", "samples/*", "figures/*"]
"""What of an earlier publication goes where a later one has none of it."""
SNAPSHOT = re.compile(r".*/models--([\w.-]+?)--([\w.-]+)/snapshots/([0-9a-f]{40})/?")
"""The folder of the cache in which a commit lies."""
ADDRESS = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w.-]+(?:/[\w.-]+)*))?")


def fetch_runs(config: Typed, keys: dict[str, Key]) -> None:
    """Replaces every ``hf:`` address in the keys that name runs by the folder to which the run was fetched.

    Raises:
        UserError: as of ``fetch_run``.
    """
    if not isinstance(config, Typed):
        raise TypeError("only the config that a command was composed of may name runs of the hub")
    for name in (name for name, key in keys.items() if key.names_runs):
        given = OmegaConf.select(config, name)
        if isinstance(given, str) and given.startswith("hf:"):
            OmegaConf.update(config, name, str(fetch_run(given, name)))
        elif OmegaConf.is_list(given):
            here = [str(fetch_run(one, name)) if str(one).startswith("hf:") else one for one in given]
            OmegaConf.update(config, name, here)


def fetch_run(address: str, key: str = "run") -> Path:
    """The folder of a run of the hub; one line on stderr says of which commit, as stdout may be a table's.

    Raises:
        UserError: no such address, repository or revision, no run there, or neither hub nor cache answers.
    """
    match = ADDRESS.fullmatch(address)
    if not match or ".." in address:
        raise UserError(f"{key}={address} is not of the form hf:ORG/NAME or hf:ORG/NAME@REVISION")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    _quieten()
    repository, revision = match["repository"], match["revision"]
    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=list(FILES)))
    except RevisionNotFoundError:
        raise UserError(f"{key}={address}: {repository} has no revision {revision} any more; leave it out or take"
                        " another") from None  # fmt: skip
    except RepositoryNotFoundError:
        raise UserError(f"{key}={address}: the hub has no such repository, or it is closed to you; mend the name, or"
                        " run hf auth login") from None  # fmt: skip
    except HFValidationError as error:
        raise UserError(f"{key}={address}: {_line(error)}") from None
    except Exception as error:  # the HTTP library below is another one from version to version, and so are its errors
        raise UserError(
            f"{key}={address}: the hub did not give it, and it is not in the cache ({_line(error)}); try again, or give"
            " the folder of a run"
        ) from None
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise UserError(f"{key}={address} is no run of slts: {missing[0]} is missing there; slts publish writes them")
    print(f"{key}={address} is commit {folder.name}, in {folder}", file=sys.stderr, flush=True)
    return folder


def by_address(value: object) -> object:
    """A copy of what a config holds in which runs of the hub have their address, pinned to the commit, in place of the
    folder in this machine's cache."""
    if isinstance(value, dict):
        return {name: by_address(held) for name, held in value.items()}
    if isinstance(value, list):
        return [by_address(held) for held in value]
    return SNAPSHOT.sub(r"hf:\1/\2@\3", value) if isinstance(value, str) and SNAPSHOT.fullmatch(value) else value


def upload(folder: Path, repository: str, private: bool) -> str:
    """Makes a repository of the hub hold what lies in a folder, in place of an earlier run; returns the address of the
    commit. Other files there stay.

    Raises:
        UserError: the repository is open to all and ``private`` is asked for, or the hub refuses or does not answer.
    """
    from huggingface_hub import HfApi

    _quieten()
    api = HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        # What is there already stays as open as it is.
        if not private or api.model_info(repository).private:
            return api.upload_folder(
                repo_id=repository, folder_path=folder, commit_message="A run of slts", delete_patterns=STALE
            ).commit_url
    except Exception as error:  # as above
        raise UserError(
            f"to={repository}: the hub did not take it ({_line(error)}); run hf auth login as somebody who may write"
            " there, or give a folder"
        ) from None
    raise UserError(
        f"to={repository} is there already, and everybody can read it; give private=false if that is meant, or another"
        " name"
    )


def _quieten() -> None:
    """What the library would tell is said in one line here."""
    from huggingface_hub.utils import disable_progress_bars, logging

    disable_progress_bars()
    logging.set_verbosity_error()


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
