"""Where photographs come from: folders, files, lists, archives read in place, remote file systems, and two packages."""

from ced.data.sources.builtin import BUILTIN_TEST, BUILTIN_TRAIN
from ced.data.sources.listing import check, content, find, read
from ced.data.sources.naming import Photograph, shown, title

__all__ = ["BUILTIN_TEST", "BUILTIN_TRAIN", "Photograph", "check", "content", "find", "read", "shown", "title"]
