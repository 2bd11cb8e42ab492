"""Where the videos of a corpus to be prepared lie: a folder, or an address of slts.data.storage."""

from pathlib import Path, PurePath

from slts.data.location import Address
from slts.data.media.folder import METADATA, videos_among, videos_below
from slts.data.storage import Storage, Stored, is_address, leads_below, storage
from slts.errors import UserError


def raw_videos(config) -> "Folder | Listing":
    """What ``root=`` of a command names. Raises UserError where it is not there."""
    if is_address(config.root):
        return Listing(storage(Address(config, "root")))
    if not config.root or not Path(config.root).is_dir():
        raise UserError(f"root={config.root}: no such folder; root must be the folder that holds the videos")
    return Folder(Path(config.root))


class Folder:
    """Videos of a folder."""

    def __init__(self, root: Path):
        self.root, self.name = root, root.resolve().name

    def __str__(self) -> str:
        return str(self.root)

    def videos(self) -> tuple[list[PurePath], list[PurePath]]:
        """Paths from the root on of the videos, and of what is none; see slts.data.media.folder."""
        return tuple([path.relative_to(self.root) for path in paths] for paths in videos_below(self.root))

    def metadata(self) -> bytes | None:
        path = self.root / METADATA
        try:
            return path.read_bytes() if path.exists() else None
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None

    def holds(self, file: str) -> bool:
        """Whether a path from the root on stays below it."""
        return (self.root / file).resolve().is_relative_to(self.root.resolve())

    def video(self, file: str) -> Path:
        return self.root / file


class Listing:
    """Videos behind an address, copied one at a time when they are read."""

    def __init__(self, root: Storage):
        self.root, self.name = root, root.name

    def __str__(self) -> str:
        return str(self.root)

    def videos(self) -> tuple[list[PurePath], list[PurePath]]:
        return videos_among(PurePath(file) for file in self.root.files())

    def metadata(self) -> bytes | None:
        return self.root.read([METADATA]).get(METADATA)

    def holds(self, file: str) -> bool:
        return leads_below(file)

    def video(self, file: str) -> Stored:
        return Stored(self.root, file)
