"""Files that are either whole or not there: temporary file in the same folder, sync, rename, folder sync.

A reader, a crash or a full disk never sees half a file, and the file that stood there before stays until the
new one is complete. Devices and pipes (/dev/stdout) cannot be renamed over and are written straight through.
A symbolic link is followed: the file it points to is replaced.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from crossent.errors import DataError

__all__ = ["atomic_write", "check_writable"]

_ADVICE = {
    errno.ENOENT: "the folder does not exist; create it first",
    errno.ENOTDIR: "a part of the path is not a folder; choose another path",
    errno.EISDIR: "it is a folder; give a file name",
    errno.EACCES: "permission denied; choose a folder you may write to",
    errno.EPERM: "permission denied; choose a folder you may write to",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOSPC: "the disk is full; free some space or choose another disk",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another disk",
    errno.EFBIG: "the file would exceed the size limit; raise the limit or choose another disk",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.EIO: "the disk reports an error; choose another disk",
}
# Only writing fails like this, so the body of atomic_write may raise them and they are explained.
_WRITE_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Context manager for writing a file as a whole: yields a binary file, commits when the body ends well.

    Args:
        path: the file to write; its folder must exist.
    Yields: a binary file open for writing (and reading); `.name` is the path of the temporary file.
    Raises: DataError if the file cannot be written. Whatever the body raises, the temporary file is removed
        and the old file is left as it was.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(pathlib.Path(folder, "a.txt")) as file:
    ...         _ = file.write(b"whole")
    ...     pathlib.Path(folder, "a.txt").read_text()
    'whole'
    """
    shown = os.fspath(path)
    target = os.path.realpath(shown)
    try:
        mode = _mode(target)
        if mode is not None and not stat.S_ISREG(mode):
            with open(target, "wb") as file:
                yield file
            return
        yield from _write_and_rename(target, mode)
    except OSError as error:
        if error.errno in _WRITE_FAILURES or getattr(error, "_crossent_target", None) == target:
            raise _unwritable(shown, error) from error
        raise


def _write_and_rename(target: str, mode: int | None) -> Iterator[BinaryIO]:
    folder = os.path.dirname(target)
    temporary = _temporary(folder)
    with _blaming(target):
        file = open(temporary, "x+b")  # noqa: SIM115 - closed below, before the rename
    try:
        with file:
            yield file
            with _blaming(target):
                file.flush()
                if mode is not None:
                    os.fchmod(file.fileno(), stat.S_IMODE(mode))
                os.fsync(file.fileno())
        with _blaming(target):
            os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _temporary(folder: str) -> str:
    return os.path.join(folder, f".crossent-{secrets.token_hex(8)}.tmp")


def check_writable(path: str | os.PathLike[str]) -> None:
    """Does nothing if `atomic_write(path)` can start; to be called before hours of work, not after them.

    Raises: DataError with the reason.
    """
    shown = os.fspath(path)
    target = os.path.realpath(shown)
    try:
        mode = _mode(target)
        if mode is not None and not stat.S_ISREG(mode):
            return
        probe = _temporary(os.path.dirname(target))
        open(probe, "xb").close()
        os.unlink(probe)
    except OSError as error:
        raise _unwritable(shown, error) from error


def _mode(target: str) -> int | None:
    """File mode of what stands at the target, None if nothing; OSError if it may not be replaced."""
    with _blaming(target):
        try:
            mode = os.stat(target).st_mode
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return mode


@contextmanager
def _blaming(target: str) -> Iterator[None]:
    """Marks an OSError as coming from the target, not from another file that the body handles."""
    try:
        yield
    except OSError as error:
        error._crossent_target = target  # type: ignore[attr-defined]  # a mark, read in atomic_write
        raise


def _sync_folder(folder: str) -> None:
    """Makes the rename itself durable; file systems that cannot sync a folder are left alone."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unwritable(path: str, error: OSError) -> DataError:
    reason = _ADVICE.get(error.errno or 0, f"{error.strerror or error}; choose another path")
    return DataError(f"Cannot write {path}: {reason}.")
