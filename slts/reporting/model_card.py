"""The card of a published run: what it is, how to use it, how well it does, what it learned from."""

import html
from pathlib import Path

import pandas as pd
import yaml
from omegaconf import DictConfig

from slts import __version__
from slts.metrics.columns import COLUMNS, columns
from slts.reporting.paper import results_table
from slts.schema import option_keys
from slts.secrecy import for_others
from slts.systems.contract import OFFSETS, PICTURES, SPEECH
from slts.systems.trained import TrainedRun
from slts.training.evaluation_name import evaluation_of
from slts.training.run_directory import config_hash

USES = {
    SPEECH: ("slts generate run={run} input=silent.mp4 out=spoken", "speech from silent video"),
    PICTURES: ("slts dub run={run} video=face.mp4 audio=speech.wav out=dubbed.mp4", "lips to another sound"),
    OFFSETS: ("slts offsets run={run} data=clip.mp4", "the offset between picture and sound"),
}
"""By what a system gives, the command and what it makes."""
LIMITS = """What it makes is synthetic, and is to be called so wherever it is shown. It was taught on the people and the
recordings named above: other faces, languages, cameras and rooms are not what the scores are of. Use nobody's face or
voice without leave."""


def model_card(
    run: TrainedRun, results: pd.DataFrame | None, folder: Path, repository: str | None, licence: str | None
) -> str:
    """The README.md of ``folder``, which is to be the ``repository``: Markdown with the hub's YAML before it.

    ``results`` are the rows of load_results, None where the run was never scored, which the card then says.
    """
    config = run.config
    where = f"hf:{repository}" if repository else "THIS_FOLDER"
    sentence = option_keys("task", config.task.name)["task.name"].sentence
    uses = [use for word, use in USES.items() if word in run.task.gives]
    width = max((len(command) for command, _ in uses), default=0)
    parts = [
        f"# {_plain(config.name)}",
        f"`task={config.task.name}`, variant `{config.variant}`, of slts {__version__}: {_plain(sentence)}.",
        "## Use",
        "\n".join(["```sh", *(f"{c.format(run=where):<{width + 8}} # {what}" for c, what in uses), "```"]),
        *_scores(results),
        *_shown(folder, repository),
        "## Learned from",
        _corpus(run.corpus),
        "## Recipe",
        _recipe(run),
        "## Limits",
        LIMITS,
    ]
    return f"---\n{_front(config, results, licence)}---\n\n" + "\n\n".join(parts) + "\n"


def _front(config: DictConfig, results: pd.DataFrame | None, licence: str | None) -> str:
    """What the hub reads of a card; its model-index has a figure for every column of the table of results."""
    front = {"library_name": "slts", "tags": sorted({"slts", str(config.task.name), "lip-to-speech", "lip-sync"})}
    front |= {"license": licence} if licence else {}
    scored = [] if results is None else [row for _, row in results[results["split"].notna()].iterrows()]
    entries = [
        {
            "task": {"type": "other", "name": str(config.task.name)},
            "dataset": {"type": "other", "name": str(row["corpus"]), "split": evaluation_of(row)},
            "metrics": [
                {"type": name, "name": COLUMNS[name].title, "value": float(row[name])}
                for name in columns(table="results")
                if pd.notna(row[name])
            ],
        }
        for row in scored
    ]
    entries = [entry for entry in entries if entry["metrics"]]  # the hub refuses one without
    front |= {"model-index": [{"name": str(config.name), "results": entries}]} if entries else {}
    return yaml.safe_dump(front, sort_keys=False, allow_unicode=True)


def _scores(results: pd.DataFrame | None) -> list[str]:
    """The figures down, one column an evaluation."""
    if results is None:
        return ["## Scores", "Not scored yet."]
    table = results_table(results[results["split"].notna()])
    frame = table.frame
    head = [f"{row['corpus']}, {evaluation_of(row)}" for _, row in frame.iterrows()]
    lines = [f"| | {' | '.join(map(_plain, head))} | |", "|---|" + "---|" * (len(head) + 1)]
    for name in table.figures:
        if frame[name].notna().any():
            column = COLUMNS[name]
            cells = ["" if pd.isna(value) else f"{value:.{column.digits}f}" for value in frame[name]]
            lines.append(f"| {column.title} | {' | '.join(cells)} | {_plain(column.means)} |")
    notes = sorted({for_others(note) for note in frame["note"] if note})
    return ["## Scores", "\n".join(lines), *(f"{_plain(note)}." for note in notes)]


def _shown(folder: Path, repository: str | None) -> list[str]:
    """Figures and clips of the folder, for ears and eyes."""
    parts = []
    if figures := sorted(folder.glob("figures/*.png")):
        parts += ["## Figures", *(f"![{file.stem.replace('_', ' ')}](figures/{file.name})" for file in figures)]
    if pictures := sorted(folder.glob("samples/*.png")):
        parts.append("## Samples")
    for picture in pictures:
        parts.append(f"![{_plain(picture.stem)}]({_address(picture, folder, None)})")
        for label, file in (("made", f"{picture.stem}.wav"), ("recorded", f"{picture.stem}-recorded.wav")):
            if (sound := picture.with_name(file)).is_file():
                parts.append(f'{label} <audio controls src="{_address(sound, folder, repository)}"></audio>')
        if (film := picture.with_suffix(".mp4")).is_file():
            parts.append(f'<video controls src="{_address(film, folder, repository)}"></video>')
    return parts


def _address(file: Path, folder: Path, repository: str | None) -> str:
    """The hub resolves relative addresses of pictures, not of sounds."""
    from urllib.parse import quote

    relative = file.relative_to(folder).as_posix()
    if repository is None:
        return quote(relative)
    from huggingface_hub import hf_hub_url

    return hf_hub_url(repository, relative)


def _corpus(corpus: dict) -> str:
    lines = [
        f"{_plain(corpus['name'])}, {len(corpus.get('speakers', []))} speaker(s).",
        "",
        "| split | clips | hours |",
    ]
    lines += ["|---|---|---|"]
    for name, split in corpus.get("splits", {}).items():
        lines.append(f"| {_plain(name)} | {split.get('clips', '')} | {split.get('hours', 0):.2f} |")
    return "\n".join(lines)


def _recipe(run: TrainedRun) -> str:
    config = run.config
    facts = {
        "parameters": f"{sum(p.numel() for p in run.task.parameters()) / 1e6:.2f} M",
        "model, vocoder": f"{config.model.name}, {config.vocoder.name}",
        "steps": f"{run.step} of {config.steps}, the best by validation",
        "batch": f"{config.batch_size} clips of up to {config.chunk_seconds:g} s",
        "seed": config.seed,
        "configuration": f"`config.yaml`, hash {config_hash(config)}",
        "corpus hash": run.corpus.get("hash"),
        "SHA-256 of the weights": run.weights_sha256,
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {_plain(value)} |" for name, value in facts.items())])


def _plain(text: object) -> str:
    """Text of a run's files as text of a Markdown table."""
    return html.escape(" ".join(str(text).split()), quote=False).replace("|", "\\|")
