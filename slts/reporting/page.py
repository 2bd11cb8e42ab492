"""The HTML report: tables, figures, sound and videos in one file that needs nothing beside it."""

import base64
import html

import pandas as pd

from slts import __version__
from slts.reporting.figures import Picture, sample_pictures, scaled_picture
from slts.reporting.table import MISSING, ResultTable

STYLE = """
:root { color-scheme: light }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem;
  color: #1a1a1a; background: #fff }
section { margin: 1.6rem 0 }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
caption { text-align: left; white-space: nowrap; font-weight: 600; padding: .3rem 0 }
th, td { padding: .2rem .4rem; white-space: nowrap }
td:first-child, thead th:first-child { position: sticky; left: 0; background: inherit }
tr { background: #fff } tbody tr:nth-child(even) { background: #f5f5f5 }
thead tr { border-top: 2px solid; border-bottom: 1px solid } tbody tr:last-child { border-bottom: 2px solid }
tbody tr:has(th) { background: #fff; border-top: 1px solid #999 } tbody th { padding-top: .4rem }
p { margin: .15rem 0 } small { color: #555 }
figure { margin: 1.2rem 0 } img { max-width: 100%; height: auto }
label { display: flex; align-items: center; gap: .6rem; margin: .2rem 0 } label span { width: 5.5rem }
video { max-width: 100% } audio { height: 2.2rem; width: 20rem; max-width: 75% }
"""


def report(tables: list[ResultTable], pictures: list[Picture], results: pd.DataFrame, sounds: int, runs: str) -> str:
    """An HTML page of the tables, the pictures and at most ``sounds`` clips of ``runs``, to be seen and heard."""
    parts = [f"<section>{table.to_html()}</section>" for table in tables]
    parts += ["<h2>Figures</h2>", *map(_figure, pictures)] if pictures else []
    clips = list(_clips(results, sounds))
    parts += ["<h2>Clips</h2>", *clips] if clips else []
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>slts: results</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Results</h1>\n'
        f"<p>Made by <code>slts tables runs={html.escape(runs)}</code>, slts {__version__}. Best figure in bold, second"
        f" best underlined, by corpus, split and side; {MISSING} is a figure that is missing.</p>\n"
        f"{body}\n</body>\n</html>\n"
    )


def _clips(results: pd.DataFrame, most: int):
    """The first clip of every run, then the second, until there are ``most``."""
    rows = results[results["split"].isin(["test", "val"])].drop_duplicates(["run", "split"])
    found = [(place, row, file) for _, row in rows.iterrows() for place, file in enumerate(sample_pictures(row))]
    for _, row, file in sorted(found, key=lambda item: item[0])[:most]:
        title = f"{row['run']} ({row['system']}) on {row['split']} of {row['corpus']}: {file.stem}"
        sounds = {"generated": file.with_suffix(".wav"), "recorded": file.with_name(f"{file.stem}-recorded.wav")}
        players = "".join(
            f'<label><span>{name}</span><audio controls preload="metadata"'
            f' src="{_embedded(sound.read_bytes(), "audio/wav")}"></audio></label>'
            for name, sound in sounds.items()
            if sound.is_file()
        )
        video = file.with_suffix(".mp4")
        if video.is_file():
            source = _embedded(video.read_bytes(), "video/mp4")
            players += f'<video controls preload="metadata" src="{source}"></video>'
        picture = scaled_picture(file, title)
        yield (_figure(picture) if picture else f"<p>{html.escape(title)}</p>") + players


def _figure(picture: Picture) -> str:
    caption = html.escape(picture.caption, quote=True)
    source = _embedded(picture.data, picture.mime)
    return f'<figure><img alt="{caption}" src="{source}"><figcaption><small>{caption}</small></figcaption></figure>'


def _embedded(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
