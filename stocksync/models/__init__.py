"""Tables of stock sync: jobs, their files, and what each job found."""

from .decision import SyncDecision, Verdict
from .file import FileBlock, StoredFile
from .job import Clock, SyncJob, SyncState
from .result import SyncProduct, SyncTree

__all__ = [
    "Clock",
    "FileBlock",
    "StoredFile",
    "SyncDecision",
    "SyncJob",
    "SyncProduct",
    "SyncState",
    "SyncTree",
    "Verdict",
]
