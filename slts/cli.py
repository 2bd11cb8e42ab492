"""The console script ``slts``: ``slts VERB key=value ...``."""

import importlib
import locale
import os
import select
import sys
import tempfile
import traceback

from slts import __version__
from slts.errors import UserError, disk_fault
from slts.secrecy import without_secrets

VERBS = {
    "prepare": "raw corpus to shards",
    "train": "train a system on shards; resumes by itself when the run exists",
    "evaluate": "score a run's best checkpoint on a split",
    "generate": "silent video to speech, or a corpus with the speech beside each clip",
    "dub": "a film of a face speaks another sound",
    "score": "plain and time-aligned metrics on two folders of audio",
    "tables": "the paper's tables, ours beside the published, and a page with sound",
    "offsets": "measure the audio-visual offset of every clip, or take it out",
    "recogniser": "train the recogniser of k-WER on a corpus's own sound",
    "demo": "a page in the browser: drop a video, get its offset, its speech or its dub",
    "sweep": "one worker of a study of settings; start as many as there are machines",
    "listen": "a listening test of what runs gave: blind, balanced, served to raters",
    "publish": "give a run away with its scores and a model card, on the hub or as a folder",
    "config": "what a run was",
    "completion": "a script by which bash or zsh completes verbs, keys and values",
    "dashboard": "create the W&B workspace of training, or draw its panels from the files",
}

POSITIONAL = {"config": "run", "completion": "shell"}
"""Verbs of one key, which may be left out: ``slts config runs/NAME``."""
MODULES = {"train": "slts.train", "evaluate": "slts.evaluate"}
"""Verbs whose files Accelerate launches; the others are modules of ``slts.commands``."""


def run(verb: str, arguments: list[str]) -> int:
    """Compose the config of a verb and call its ``main(config)``. Returns the exit status: 2 for a user's mistake and
    for a folder that is full or closed, 1 for what was not foreseen."""
    written: list[str] = []
    try:
        # Half a second's imports, here so that Ctrl-C among them is told in one line, too.
        from slts.config import compose, quoted
        from slts.help import asked
        from slts.training.hub import fetch_runs

        module = importlib.import_module(MODULES.get(verb, f"slts.commands.{verb}"))
        if verb in POSITIONAL and len(arguments) == 1 and not arguments[0].startswith((f"{POSITIONAL[verb]}=", "-")):
            arguments = [f"{POSITIONAL[verb]}={quoted(arguments[0])}"]
        if text := asked(verb, module.__doc__, arguments):
            print(text, flush=True)
            return 0
        config, keys = compose(verb, arguments)
        fetch_runs(config, keys)
        written += [str(config[key]) for key in ("out", "runs", "run") if config.get(key)]
        status = module.main(config) or 0
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"slts {verb}: {' '.join(without_secrets(str(error)).splitlines())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"slts {verb}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _unread():
            return 141
        fault = disk_fault(error, written) if isinstance(error, OSError) else None
        print(f"slts {verb}: {fault or _unforeseen(verb, error)}", file=sys.stderr)
        return 2 if fault else 1


def _unread() -> bool:
    """Whether nobody reads standard output any more, as after ``| head``; then what is left of it goes nowhere."""
    poll = select.poll()
    poll.register(sys.stdout, 0)  # of which errors are told all the same
    if broken := bool(poll.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return broken


def _unforeseen(verb: str, error: Exception) -> str:
    """One line that names the file in which the traceback is; with SLTS_TRACEBACK=1 the traceback itself."""
    if os.environ.get("SLTS_TRACEBACK") == "1":
        return "".join(traceback.format_exception(error)).rstrip()
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix=f"slts-{verb}-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            traceback.print_exception(error, file=file)
        where = f"the traceback is in {file.name}"
    except OSError:
        where = "SLTS_TRACEBACK=1 shows the traceback"
    return f"not foreseen, {said}; {where}"


def speak_utf8() -> None:
    """Starts Python anew in its UTF-8 mode where the locale is another: names and texts of corpora may hold anything.
    What cannot be shown is shown escaped. Only for what is started as a command."""
    utf8 = locale.getpreferredencoding(False).lower().replace("-", "") == "utf8"
    if not utf8 and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")


def main() -> None:
    speak_utf8()
    arguments = sys.argv[1:]
    if arguments[:1] == ["--version"]:
        print(f"slts {__version__}")
        return
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print("slts VERB key=value ...\n")
        print("\n".join(f"  slts {verb:<10} {purpose}" for verb, purpose in VERBS.items()))
        print("\nslts VERB --help lists the common keys of a verb, --help all every key, --cfg job what it would run.")
        print("`accelerate launch slts/train.py` is `slts train` on several processes or GPUs.")
        sys.exit(0 if arguments else 2)
    if arguments[0] not in VERBS:
        print(f"slts: no verb '{arguments[0]}'; choose one of {', '.join(VERBS)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(run(arguments[0], arguments[1:]))


if __name__ == "__main__":
    main()
