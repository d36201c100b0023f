"""Steadiness in time: how far an edited frame is from the one before, moved as the source moved."""

import av
import cv2
import numpy


def frames(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def resized(images, size):
    return [image if image.shape[:2] == size else cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA) for image in images]


def moved(image, flow):
    """The picture whose pixel at p is the image's at p + flow(p)."""
    y, x = numpy.mgrid[: flow.shape[0], : flow.shape[1]].astype(numpy.float32)
    return cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def visible(forward, backward):
    """Where this frame's pixels were in sight before: a way there and back ends where it began (Sundaram et al., 2010)."""
    there = moved(forward, backward)
    gap = ((there + backward) ** 2).sum(-1)
    return gap < 0.01 * ((there**2).sum(-1) + (backward**2).sum(-1)) + 0.5


def errors(source, *videos):
    """For each video the error of every frame but the first: the root of the mean squared difference, of 255, over pixels that the
    source's motion keeps in sight."""
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in source]
    found = [[] for _ in videos]
    for index in range(1, len(source)):
        forward = flow.calc(grey[index - 1], grey[index], None)
        backward = flow.calc(grey[index], grey[index - 1], None)
        mask = visible(forward, backward)
        for video, result in zip(videos, found):
            gap = moved(video[index - 1].astype(numpy.float32), backward) - video[index]
            result.append(float(numpy.sqrt((gap[mask] ** 2).mean())) if mask.any() else 0.0)
    return found


def warp_error(source_path, edited_path, group=8):
    """Means over the frames, and apart over those with which a group of frames begins and those within one."""
    edited = frames(edited_path)
    source = resized(frames(source_path)[: len(edited)], edited[0].shape[:2])
    of_source, of_edited = errors(source, source, edited)
    mean = lambda values: sum(values) / len(values) if values else 0.0
    borders = lambda values: [value for index, value in enumerate(values, 1) if index % group == 0]
    inside = lambda values: [value for index, value in enumerate(values, 1) if index % group]
    return {
        "edited": mean(of_edited), "source": mean(of_source),
        "edited_at_borders": mean(borders(of_edited)), "edited_inside": mean(inside(of_edited)),
        "source_at_borders": mean(borders(of_source)), "source_inside": mean(inside(of_source)),
    }


if __name__ == "__main__":
    import json
    import sys

    print(json.dumps(warp_error(sys.argv[1], sys.argv[2]), indent=1))
