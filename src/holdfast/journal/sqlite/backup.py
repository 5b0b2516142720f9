"""A copy of a store that is in use, as it was at one moment.

SQLite's own backup of one connection to another. The source is held at one moment by a read transaction, so that no writer is
kept waiting and none makes it begin anew; until it is done the log beside the source grows. The copy is written under another
name, looked through, brought to the disk, and only then gets its own.
"""

from __future__ import annotations

import glob
import os
import shutil
from contextlib import suppress

import apsw

from holdfast.errors import HoldfastError, JournalCorrupt, JournalUnavailable, UsageError
from holdfast.journal.keeping import Copied
from holdfast.journal.sqlite.file import BUSY_SECONDS, all_rows, looked_at, one_row, read_only, tidy, translated

# Copied in one go, about 16 MB: the thread can be told to end in between.
PAGES_STEP = 4_000


def copy(path: str, target: str) -> Copied:
    """See `Keeping.backup`. path: of the store, which need not be open, and may have the form of an earlier release."""
    if os.path.lexists(target):
        raise UsageError(f"there is something at {target} already", hint="name a file that is not there yet")
    unfinished = f"{target}.unfinished-{os.getpid()}"
    _clear(target)
    tidies = not os.path.exists(path + "-wal")
    try:
        runs = _copied(path, target, unfinished)
        _name(unfinished, target)
        return Copied(bytes=os.path.getsize(target), runs=runs)
    except OSError as error:
        raise JournalUnavailable(f"{target}: the copy cannot be written ({error.strerror})", hint="name another place") from error
    finally:
        if tidies:
            tidy(path)
        for end in ("", "-journal", "-wal", "-shm"):
            if os.path.lexists(unfinished + end):
                os.unlink(unfinished + end)


def _clear(target: str) -> None:
    """Remove copies for the same place whose processes were killed before they were finished."""
    for left in glob.glob(f"{glob.escape(target)}.unfinished-*"):
        number = left.removeprefix(f"{target}.unfinished-").partition("-")[0]
        if number.isdecimal() and not _is_alive(int(number)):
            with suppress(OSError):
                os.unlink(left)


def _is_alive(process: int) -> bool:
    """Whether a process, other than this one, may be there."""
    if process == os.getpid():
        return False
    if os.name != "posix":
        return True  # There, asking would be a signal.
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _copied(path: str, target: str, unfinished: str) -> int:
    source = _source(path)
    try:
        _check_room(source, target)
        return _write(source, path, unfinished)
    finally:
        source.close()


def _source(path: str) -> apsw.Connection:
    try:
        source = read_only(path, BUSY_SECONDS)
    except apsw.Error as error:
        raise translated(error, path) from error
    try:
        if not looked_at(source, path):
            raise UsageError(f"{path} is empty", hint="name the store with --db")
    except (apsw.Error, HoldfastError) as error:
        source.close()
        raise translated(error, path) from error
    return source


def _check_room(source: apsw.Connection, target: str) -> None:
    folder = os.path.dirname(os.path.abspath(target))
    if not os.path.isdir(folder):
        raise UsageError(f"there is no folder {folder} for the copy", hint="make it, or name another place")
    ((pages,), (page_bytes,)) = all_rows(source, "pragma page_count")[0], all_rows(source, "pragma page_size")[0]
    wanted, free = int(pages) * int(page_bytes), shutil.disk_usage(folder).free
    if wanted > free:
        raise JournalUnavailable(
            f"{target}: the copy needs {wanted / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free there", hint="name another place"
        )


def _write(source: apsw.Connection, path: str, unfinished: str) -> int:
    """Copy the store, look through the copy, and count its runs."""
    copied = _opened(unfinished)
    try:
        source.execute("begin")
        one_row(source, "select 1 from runs limit 1")  # From here on it is held at this moment.
        with copied.backup("main", source, "main") as going:
            while not going.done:
                going.step(PAGES_STEP)
        source.execute("rollback")
        found = all_rows(copied, "pragma quick_check")
        if found == [("ok",)]:
            ((runs,),) = all_rows(copied, "select count(*) from runs")
        else:
            said = " ".join(str(found[0][0]).split())
            raise JournalCorrupt(f"{path}: it is damaged, and a copy would be too: {said}", hint="`holdfast doctor --deep`")
    except apsw.Error as error:
        # What is damaged is the source, and what is full is the place of the copy.
        corrupt = isinstance(error, (apsw.CorruptError, apsw.NotADBError))
        raise _said(error, path if corrupt else unfinished) from error
    finally:
        copied.close()
    return int(runs)


def _said(error: apsw.Error, where: str) -> HoldfastError:
    said = translated(error, where)
    if isinstance(error, apsw.FullError):
        said.hint = "free space, or name another place; nothing is left there, and nothing has happened to the store"
    return said


def _opened(unfinished: str) -> apsw.Connection:
    try:
        return apsw.Connection(unfinished)
    except apsw.Error as error:
        raise translated(error, unfinished) from error


def _name(unfinished: str, target: str) -> None:
    """Give the finished copy its name, once it is on the disk; it takes nobody else's."""
    _synced(unfinished, os.O_RDWR)
    try:
        os.link(unfinished, target)
    except FileExistsError:
        raise UsageError(f"there is something at {target} by now", hint="name a file that is not there yet") from None
    except OSError:  # A file system without links.
        os.rename(unfinished, target)
    if hasattr(os, "O_DIRECTORY"):
        _synced(os.path.dirname(os.path.abspath(target)), os.O_RDONLY)


def _synced(path: str, flags: int) -> None:
    file = os.open(path, flags)
    try:
        os.fsync(file)
    finally:
        os.close(file)
