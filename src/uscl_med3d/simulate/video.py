"""Grey videos in MP4; equal frames give equal bytes."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from uscl_med3d.core.params.simulate import Video


def write_video(path: str | Path, frames: np.ndarray, video: Video) -> None:
    """Write frames (f, h, w) uint8 as H.264: one encoder thread, a container without a date.

    x264's macroblock tree and B-frames are off: both read memory that nobody wrote, so equal frames gave
    different bytes from run to run.
    """
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=video.frames_per_second)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {
            "crf": str(video.crf),
            "g": str(video.group_of_pictures),
            "bf": "0",
            "mbtree": "0",
            "preset": video.preset,
            "threads": "1",
        }
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(stream.encode())
