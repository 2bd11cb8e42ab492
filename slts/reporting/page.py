"""The one style of HTML pages: title, summary, parts. They are read offline, from any folder, and run nothing.

Pages have no script, so that no name in a run or a study can become one: figures that hovering helps are drawings with
titles (see chart), and tables that want sorting lie beside the page as CSV.
"""

import base64
import html
from pathlib import Path

from slts import __version__
from slts.reporting.figures import Picture
from slts.reporting.table import aligned

STYLE = Path(__file__).with_name("page.css")


def page(title: str, headline: str, summary: list[str], parts: list[str]) -> str:
    """An HTML page. ``title``, ``headline`` (the sentence to be remembered) and ``summary`` are plain text and are
    escaped; ``parts`` are HTML."""
    said = "".join(f"<p>{html.escape(line)}</p>\n" for line in summary)
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<h1>{html.escape(title)}</h1>\n"
        f'<p class="headline">{html.escape(headline)}</p>\n{said}{body}\n'
        f'<p class="small">Made by slts {__version__}.</p>\n</body>\n</html>\n'
    )


def section(title: str, *parts: str) -> str:
    """HTML under a heading; nothing where there is nothing under it."""
    return f"<section>\n<h2>{html.escape(title)}</h2>\n{''.join(parts)}\n</section>" if any(parts) else ""


def cards(*parts: str) -> str:
    """Figures or clips side by side where there is room."""
    return f'<div class="cards">{"".join(f"""<div class="card">{part}</div>""" for part in parts)}</div>'


def figure(picture: Picture) -> str:
    caption = html.escape(picture.caption, quote=True)
    source = embedded(picture.data, picture.mime)
    return f'<figure><img alt="{caption}" src="{source}"><figcaption><small>{caption}</small></figcaption></figure>'


def embedded(data: bytes, mime: str) -> str:
    """The address of a picture, sound or film that is part of the page."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def plain_table(titles: list[str], rows: list[list[str]], words: int, caption: str = "") -> str:
    """A table that scrolls in its own box. ``titles`` and cells are HTML; the first ``words`` columns are words."""
    above = f"<caption><span>{html.escape(caption)}</span></caption>" if caption else ""
    body = "\n".join("<tr>" + "".join(aligned("td", row, words)) + "</tr>" for row in rows)
    head = "".join(aligned("th", titles, words))
    return (
        f'<div class="scroll"><table>{above}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
    )
