"""No work where nothing has changed: what networks gave is remembered, and taken again where it would be the same.

What a network gives for a pixel depends on the pixels around it alone, as far as its margin goes. The memory is
searched by content, never by a frame's number: what is given depends neither on the order of frames nor on which worker
made them.
"""

from vs_srcomp.reuse.engine import Counts, counts, forget, reusing

__all__ = ["Counts", "counts", "forget", "reusing"]
