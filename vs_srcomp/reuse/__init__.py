"""No inference where nothing has changed: results of networks are kept, and copied where they would be the same.

A network's result for a pixel depends only on the pixels within its margin. The memory is searched by content, never by
frame number, so the output does not depend on the order of frames or on which worker made them.

Read `windows` first (which parts to compute), then `memory` (which planes are kept), then `engine`, which uses both.
"""

from vs_srcomp.reuse.engine import Counts, counts, forget, reusing

__all__ = ["Counts", "counts", "forget", "reusing"]
