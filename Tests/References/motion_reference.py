#!/usr/bin/env python3
"""Optical flow and the warp error by OpenCV's Python: writes the golden file of our measure's test.

  motion_reference.py Models/tiny-world/clips/00-color.mp4 Tests/VideoEditingTests/Goldens/motion-104x72.safetensors

Needs numpy, opencv-python-headless and safetensors; the committed file is of opencv-python-headless 4.6.0.66, the version nearest to
Debian 12's. The warp error is that of Benchmarks/warp_error.py, on one thread, which makes the flow the same everywhere.

Tensors; F frames:
  source (F, H, W, 3) f16        every fourth frame of the clip, cut to an odd shape; 8-bit values
  backward, forward (H, W, 2) f16   of the first two frames: where the second's pixels were, where the first's are
  visible (H, W) f16             1 where a pixel of the second was in sight in the first
  warp.source, warp.edited (F - 1)  the edited clip is that of `edited` below
"""
import sys, types
from pathlib import Path

import cv2, numpy
from safetensors.numpy import save_file

sys.modules["av"] = types.ModuleType("av")  # only its reading of files needs it
sys.path.insert(0, str(Path(__file__).parents[2] / "Benchmarks"))
from warp_error import errors, visible


def edited(frames):
    """Half as bright and flickering."""
    return [frame // 2 + numpy.uint8(17 * (index % 3)) for index, frame in enumerate(frames)]


def main():
    cv2.setNumThreads(1)
    clip, out = sys.argv[1:]
    capture, frames = cv2.VideoCapture(clip), []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    source = [numpy.ascontiguousarray(frame[20:92, 10:114]) for frame in frames[::4][:4]]
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in source]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    forward, backward = flow.calc(grey[0], grey[1], None), flow.calc(grey[1], grey[0], None)
    of_source, of_edited = errors(source, source, edited(source))
    half = lambda values: numpy.ascontiguousarray(values, dtype=numpy.float16)
    save_file({
        "source": half(source), "forward": half(forward), "backward": half(backward), "visible": half(visible(forward, backward)),
        "warp.source": numpy.float32(of_source), "warp.edited": numpy.float32(of_edited)}, out)
    print(of_source, of_edited, abs(backward).max(), visible(forward, backward).mean(), frames[0].shape, len(frames))


if __name__ == "__main__":
    main()
