"""The one exception for mistakes a user can mend, and what is said of what the machine refuses."""

import errno
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """A mistake in what the user gave: config, file or command line.

    The message is one line that names the key or file, says what is wrong and how to mend it. Commands print it
    without a traceback and exit with status 2.
    """


FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file becomes larger than the file system or ulimit -f allows",
}
CLOSED = {
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
}
FEW = {errno.EMFILE: "a process may open no more files", errno.ENFILE: "the machine may open no more files"}


def disk_fault(error: OSError, folders: Iterable[str | Path] = ()) -> UserError | None:
    """What to say of a full, read-only or forbidden folder, of a name that is too long for one, and of too few open
    files; None if the error is of another kind.

    ``folders`` are those that were being written: of a full disk Python often does not say the file, then the fullest
    of them is named.
    """
    if error.errno in FEW:
        return UserError(f"{FEW[error.errno]}; raise ulimit -n (1024 is enough), or give workers=0")
    if error.errno == errno.ENAMETOOLONG:
        return UserError(f"{str(error.filename)[:300]}: the name is too long for a file; choose a shorter one")
    if error.errno not in FULL | CLOSED:
        return None
    if isinstance(error.filename, str):
        where = Path(error.filename)
    else:
        where = min(map(_existing, [*folders, tempfile.gettempdir()]), key=_free)
    if error.errno in CLOSED:
        return UserError(f"{where}: {CLOSED[error.errno]}; mend its permissions or choose another folder")
    folder = _existing(where)
    return UserError(
        f"{folder}: {FULL[error.errno]} ({_free(folder) / 1e6:.0f} MB are free); free space there, or "
        "choose a folder on another disk, then give the same command again"
    )


def _existing(path: str | Path) -> Path:
    """The folder of a path, or the nearest one above that exists."""
    path = Path(path).absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
