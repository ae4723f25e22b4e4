"""How many frames a reader makes its decoder decode."""

from collections.abc import Iterator

from av.video.frame import VideoFrame

from vs_srcomp.source.decoder import Decoder
from vs_srcomp.source.demuxer import Demuxer


class CountingDecoder(Decoder):
    """Counts the frames that come out of the codec, also those that are dropped on the way to the wanted one."""

    decoded = 0

    def _decode(self, demuxer: Demuxer, start: int) -> Iterator[VideoFrame]:
        for frame in super()._decode(demuxer, start):
            self.decoded += 1
            yield frame
