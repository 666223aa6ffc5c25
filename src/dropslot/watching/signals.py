"""Django signals of file events, one a kind, sent by the event processor SendSignals.

A receiver gets `sender` (SendSignals), `event` (dropslot.watching.file_events.Event) and `folders` (the folder set).
It runs in the watcher's only thread: put long work into a queue.
"""

from __future__ import annotations

from django.dispatch import Signal

in_access = Signal()
in_attrib = Signal()
in_close_nowrite = Signal()
in_close_write = Signal()
in_create = Signal()
in_delete = Signal()
in_delete_self = Signal()
in_modify = Signal()
in_move_self = Signal()
in_moved_from = Signal()
in_moved_to = Signal()
in_open = Signal()
in_q_overflow = Signal()
in_unmount = Signal()
