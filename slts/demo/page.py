"""The page: three tabs, each a form, a button and what is answered."""

import html
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr

from slts.data.clip import Reject
from slts.demo.answers import Bounds, Runs, admit, dub_answer, in_words, offset_answer, short_name, speech_answer
from slts.demo.examples import IN_SYNC, LATE, SPEECH, WRONG
from slts.errors import UserError
from slts.offsets.verdict import STANDARDS
from slts.systems.trained import TrainedRun

TITLE = "slts: lips and sound"
INTRO = (
    "# slts: lips and sound\n"
    "Measure how far picture and sound of a talking face are apart and take it out, let a silent face speak, or let a"
    " face say something else."
)
SIGN = (
    "An offset **above 0 ms** means that the video lags the audio: the sound comes early. **Below 0**, the sound comes"
    " late."
)
NO_RUN = {
    "speech": "This tab speaks what silent lips say, and needs a run that does: `slts train data=DATA name=mine` makes"
    " one, and `slts demo speech=runs/mine` shows it here.",
    "dub": "This tab draws lips to another sound, and needs a run that does: `slts train experiment=wav2lip data=DATA"
    " name=lips` makes one, and `slts demo dub=runs/lips` shows it here.",
}  # fmt: skip
NO_STANDARD = "none"
WAITING = "The answer appears here."
SHOW = """() => [...document.querySelectorAll('.said')].find(one => one.offsetParent)
  ?.scrollIntoView({block: 'nearest', behavior: 'smooth'})"""
"""On a phone the answer is below the form."""
LOOK = """
.gradio-container { max-width: 64rem !important; margin: auto }
p.said { margin: 0 !important; padding: .7rem .9rem; border-radius: .5rem; background: var(--background-fill-secondary);
  border-left: .35rem solid var(--neutral-400); font-size: 1.05rem; line-height: 1.45; overflow-wrap: anywhere }
.said.PASS { border-color: #2e9e4f } .said.FAIL { border-color: #d6304a } .said.CANNOT { border-color: #c78a00 }
.examples button { min-width: fit-content !important; flex-grow: 1 }
button[aria-label="Trim video to selection"] { display: none } /* would load FFmpeg from elsewhere */
.curve img { background: #fff; border-radius: .4rem }
"""


def build_page(runs: Runs, bounds: Bounds, drawn: Future, folder: Path, keep_minutes: int) -> gr.Blocks:
    """The page of ``slts demo``.

    Args:
        runs: what answers.
        bounds: of what is taken.
        drawn: to be what ``slts.demo.examples.draw_examples`` gives.
        folder: where each answer is made, in a folder of its own that goes once it is sent.
        keep_minutes: after which uploads and what was sent are removed.
    """
    make = _Maker(bounds, drawn, folder)
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(60, 60 * keep_minutes)) as page:
        gr.Markdown(INTRO)
        with gr.Tab("Offset"):
            _offset_tab(runs, make)
        with gr.Tab("Speech"):
            _speech_tab(runs.speech, runs.faces, make) if runs.speech else gr.Markdown(NO_RUN["speech"])
        with gr.Tab("Dub"):
            _dub_tab(runs.dub, runs.faces, make) if runs.dub else gr.Markdown(NO_RUN["dub"])
        gr.Markdown(
            f"At most {bounds.max_mb} MB and {bounds.max_seconds:g} s a file. What you drop stays on the machine that"
            f" serves this page, and is removed after {keep_minutes} minutes."
        )
    return page


@dataclass(frozen=True)
class _Maker:
    """What the tabs share."""

    bounds: Bounds
    drawn: Future
    folder: Path

    def video(self, label: str) -> gr.Video:
        return _uploads_only(gr.Video(label=label, sources=["upload"], include_audio=True, height=280, buttons=[]))

    def examples(self, ways: dict[str, tuple[str, ...]], form: list, ask: Callable) -> None:
        """A button for each way to fill the form with examples by name; it asks at once."""
        gr.Markdown("Or try a drawn head:")
        with gr.Row(elem_classes="examples"):
            for label, names in ways.items():

                def fill(names: tuple[str, ...] = names) -> str | list[str]:
                    files = [str(self.drawn.result()[name]) for name in names]
                    return files if len(files) > 1 else files[0]

                click = gr.Button(label, size="sm").click
                ask(click(fill, None, form, queue=False, show_progress="hidden", api_visibility="private").then)

    def ask(self, on: Callable, work: Callable, inputs: list, said: gr.HTML, shown: list) -> None:
        """Has ``work(folder, *inputs)`` answer: the class and the text of ``said``, then what each of ``shown`` shows,
        None for nothing. One is answered at a time."""

        def answered(*given) -> Iterator[list]:
            with TemporaryDirectory(dir=self.folder) as made:
                try:
                    word, text, *files = work(Path(made), *given)
                except (UserError, Reject) as error:
                    word, text, files = "refused", refusal(error, given), [None] * len(shown)
                except Exception as error:  # what a library says of a strange file; the page goes on
                    print(f"slts demo: not foreseen, {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                    word, text, files = "refused", "This file could not be worked on; try another.", [None] * len(shown)
                updates = [gr.update(value=file and str(file), visible=file is not None) for file in files]
                yield [_said(word, text), *updates]

        asked = on(
            answered, inputs, [said, *shown], concurrency_id="work", concurrency_limit=1, api_visibility="private"
        )
        asked.then(None, js=SHOW)

    def forget(self, form: list, said: gr.HTML, shown: list) -> None:
        """What was answered goes as soon as another file is dropped."""
        gr.on(
            [event for part in form for event in (part.upload, part.clear)],
            lambda: [_said("", WAITING), *(gr.update(value=None, visible=False) for _ in shown)],
            None, [said, *shown], queue=False, show_progress="hidden", api_visibility="private",
        )  # fmt: skip


def refusal(error: UserError | Reject, given: tuple) -> str:
    """The sentence of an error, without the places where uploads lie."""
    if isinstance(error, Reject):
        return f"The video cannot be used: {in_words(error)}."
    text = str(error)
    for place in filter(None, given):
        for key, what in (("video", "video"), ("audio", "sound")):
            text = text.replace(f"{key}={place}: ", f"The {what} cannot be used: ")
    return text


def _said(word: str, text: str) -> str:
    shown = f"<b>{html.escape(word)}</b> " if word in ("PASS", "FAIL", "CANNOT TELL") else ""
    return f'<p class="said {html.escape(word)}">{shown}{html.escape(text)}</p>'


def _uploads_only(component):
    """The component, which would also fetch an address that a visitor sends in place of an upload."""
    keep = component.move_resource_to_block_cache

    def kept(place):
        if str(place).partition(":")[0].lower() in ("http", "https"):
            raise gr.Error("Addresses are not fetched; drop a file.", print_exception=False)
        return keep(place)

    component.move_resource_to_block_cache = kept
    return component


def _offset_tab(runs: Runs, make: _Maker) -> None:
    names = {short_name(limits): limits for limits in STANDARDS.values()}
    gr.Markdown(SIGN)
    with gr.Row():
        with gr.Column(min_width=300):
            video = make.video("Video of a talking face")
            standard = gr.Radio([*names, NO_STANDARD], value=next(iter(names)), label="Standard to judge by")
            button = gr.Button("Measure", variant="primary")
            examples = gr.Column()
        with gr.Column(min_width=300):
            said = gr.HTML(_said("", WAITING), padding=False)
            curve = gr.Image(show_label=False, visible=False, elem_classes="curve", buttons=[])
            mended = gr.Video(label="Mended video: its sound is moved", visible=False, height=280, buttons=["download"])
            file = gr.DownloadButton("Download the mended video", visible=False)

    def work(folder: Path, given: str | None, chosen: str):
        answer = offset_answer(runs.offset, admit(given, "video", make.bounds), names.get(chosen), runs.faces, folder)
        return answer.word, answer.sentence, answer.curve, answer.mended, answer.mended

    def ask(on: Callable) -> None:
        make.ask(on, work, [video, standard], said, [curve, mended, file])

    ask(button.click)
    with examples:
        make.examples({name: (name,) for name in (IN_SYNC, LATE, WRONG)}, [video], ask)
    make.forget([video], said, [curve, mended, file])


def _speech_tab(run: TrainedRun, faces: str | None, make: _Maker) -> None:
    speakers = list(run.corpus["speakers"])
    with gr.Row():
        with gr.Column(min_width=300):
            video = make.video("Video of a talking face")
            voice = gr.Dropdown(speakers, value=speakers[0], label="Voice", visible=len(speakers) > 1)
            button = gr.Button("Speak", variant="primary")
            examples = gr.Column()
        with gr.Column(min_width=300):
            said = gr.HTML(_said("", WAITING), padding=False)
            film = gr.Video(label="The video with this speech", visible=False, height=280, buttons=["download"])
            sound = gr.Audio(label="Speech", visible=False, type="filepath", interactive=False, buttons=["download"])
            mel = gr.Image(show_label=False, visible=False, elem_classes="curve", buttons=[])

    def work(folder: Path, given: str | None, speaker: str):
        answer = speech_answer(run, admit(given, "video", make.bounds), speaker, faces, folder)
        return "done", answer.sentence, answer.film, answer.sound, answer.mel

    def ask(on: Callable) -> None:
        make.ask(on, work, [video, voice], said, [film, sound, mel])

    ask(button.click)
    with examples:
        make.examples({"a silent head": (IN_SYNC,)}, [video], ask)
    make.forget([video], said, [film, sound, mel])


def _dub_tab(run: TrainedRun, faces: str | None, make: _Maker) -> None:
    with gr.Row():
        with gr.Column(min_width=300):
            video = make.video("Video of a face")
            sound = _uploads_only(gr.Audio(label="What the lips shall say", sources=["upload", "microphone"],
                                           type="filepath", editable=False, buttons=[]))  # fmt: skip
            button = gr.Button("Dub", variant="primary")
            examples = gr.Column()
        with gr.Column(min_width=300):
            said = gr.HTML(_said("", WAITING), padding=False)
            film = gr.Video(
                label="The film with lips drawn to the sound", visible=False, height=280, buttons=["download"]
            )
            file = gr.DownloadButton("Download the dubbed film", visible=False)

    def work(folder: Path, face: str | None, speech: str | None):
        admitted = admit(face, "video", make.bounds), admit(speech, "sound", make.bounds, sound=True)
        answer = dub_answer(run, *admitted, faces, folder)
        return "done", answer.sentence, answer.film, answer.film

    def ask(on: Callable) -> None:
        make.ask(on, work, [video, sound], said, [film, file])

    ask(button.click)
    with examples:
        make.examples({"a head and other words": (IN_SYNC, SPEECH)}, [video, sound], ask)
    make.forget([video, sound], said, [film, file])
