"""Give a file its final name without ever replacing another."""

import ctypes
import errno
import os

_RENAME_NOREPLACE = 1
_NO_SUCH_CALL = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK)


def rename_if_free(old: str, new: str, directory: int) -> bool:
    """Rename within an open directory; return False, and change nothing, when the new name is taken.

    A hard link is the one step that every POSIX file system does atomically and never over another file. File systems
    without hard links (some SMB and FUSE mounts) get renameat2; those without either, a check and a plain rename: there
    two writers of one path at the same moment could meet, which leases upstream keep from happening.
    """
    try:
        os.link(old, new, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_SUCH_CALL:
            raise
        return rename_without_links(old, new, directory)
    os.unlink(old, dir_fd=directory)
    return True


def rename_without_links(old: str, new: str, directory: int) -> bool:
    """Do the same where hard links cannot be made."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None:
        done = rename(directory, os.fsencode(old), directory, os.fsencode(new), _RENAME_NOREPLACE)
        if done == 0:
            return True
        number = ctypes.get_errno()
        if number == errno.EEXIST:
            return False
        if number not in _NO_SUCH_CALL:
            raise OSError(number, os.strerror(number))
    try:
        os.stat(new, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)
        return True
    return False
