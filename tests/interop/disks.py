"""Open files on disks that fail."""

import errno
import io
import os


class FullDisk:
    """A file on a disk that is full after `room` bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        self.file.write(data[: self.room])
        self.file.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()


class BadSector(io.RawIOBase):
    """A file of which only the first `good` bytes can be read."""

    def __init__(self, path, good):
        self._file, self._good = io.FileIO(path), good

    def readable(self):
        return True

    def fileno(self):
        return self._file.fileno()

    def seek(self, *where):
        return self._file.seek(*where)

    def tell(self):
        return self._file.tell()

    def readinto(self, buffer):
        if self._file.tell() + len(buffer) > self._good:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._file.readinto(buffer)

    def close(self):
        self._file.close()
        super().close()
