#!/usr/bin/env python3
"""Edits odd videos, made with the ffmpeg program, by `stemctl edit`: every container and codec at hand, frame rates, rotations, pixels, sounds,
damage. Each must end in a video that is as long, as fast, as wide for its height and as loud as the clip was, by ffprobe, or in a clear refusal."""

import json
import pathlib
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction

from promises import Promises, say
from service import parser

TONE = "sine=frequency=440:sample_rate=48000:duration={seconds}"
COPIED = {"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"}


@dataclass
class Video:
    """A video to be made, and what is to become of it."""

    name: str
    """with the ending of its container"""
    coding: str = "-c:v libx264"
    """ffmpeg's options for the file"""
    size: str = "96x64"
    rate: str = "10"
    seconds: float = 0.8
    sound: str = ""
    """ffmpeg's options for it, or none"""
    filters: str = ""
    inputs: list = field(default_factory=list)
    """in the place of a test picture and a tone"""
    options: list = field(default_factory=list)
    """stemctl's"""
    damage: object = None
    """what makes other bytes of the file's"""
    refusal: str = ""
    """what the sentence must hold; none where the video is to be edited"""
    note: str = ""
    """what a note on the way must hold"""
    frames: int = 0
    """of the edit, where they are not the clip's"""
    lasts: float = 0
    """of the edit, where that is not the clip's"""
    shape: float = 0
    """width over height, where ffprobe does not say it"""

    def make(self, path):
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]
        if self.inputs:
            command += [word for given in self.inputs for word in given.split()]
        else:
            picture = f"testsrc2=size={self.size}:rate={self.rate}:duration={self.seconds}"
            command += ["-f", "lavfi", "-i", picture + ("," + self.filters if self.filters else "")]
            if self.sound:
                command += ["-f", "lavfi", "-i", TONE.format(seconds=self.seconds)]
        command += self.coding.split() + self.sound.split() + [str(path)]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            return made.stderr.strip().splitlines()[-1] if made.stderr.strip() else "ffmpeg failed"
        if self.damage:
            path.write_bytes(self.damage(path.read_bytes()))
        return None


YUV = "-pix_fmt yuv420p"
AAC = "-c:a aac"


def cut(share):
    return lambda data: data[: int(len(data) * share)]


def zeroed(start, end):
    """Zeros from one share of the file to another."""

    def damaged(data):
        a, b = int(len(data) * start), int(len(data) * end)
        return data[:a] + bytes(b - a) + data[b:]

    return damaged


def turned(degrees):
    """Notes in an mp4 how the camera was held: no option of ffmpeg's does."""
    one = 1 << 16
    a, b = {90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees]
    matrix = b"".join(value.to_bytes(4, "big", signed=True) for value in (a, b, 0, -b, a, 0, 0, 0, 1 << 30))

    def noted(data):
        at = data.index(b"tkhd") + 44
        return data[:at] + matrix + data[at + 36 :]

    return noted


def containers():
    yield Video("h264.mp4", f"-c:v libx264 {YUV}", sound=AAC)
    yield Video("h264.mov", f"-c:v libx264 {YUV}", sound=AAC)
    yield Video("h264.mkv", f"-c:v libx264 {YUV}", sound=AAC)
    yield Video("h264.flv", f"-c:v libx264 {YUV}", sound=AAC)
    yield Video("h264.ts", f"-c:v libx264 {YUV} -bf 2", sound=AAC)
    yield Video("h264.m2ts", f"-c:v libx264 {YUV}", sound="-c:a ac3")
    yield Video("fragmented.mp4", f"-c:v libx264 {YUV} -movflags frag_keyframe+empty_moov", sound=AAC)
    yield Video("stream.h264", f"-c:v libx264 {YUV}")
    yield Video("phone.3gp", f"-c:v h263 {YUV}", size="176x144", sound="-c:a aac -ar 44100")
    yield Video("hevc.mp4", f"-c:v libx265 {YUV} -x265-params log-level=none", sound="-c:a eac3")
    yield Video("av1.mkv", f"-c:v libaom-av1 -cpu-used 8 {YUV}", sound="-c:a libopus")
    yield Video("av1.webm", f"-c:v libaom-av1 -cpu-used 8 {YUV}", sound="-c:a libvorbis")
    yield Video("vp8.webm", f"-c:v libvpx {YUV}", sound="-c:a libvorbis")
    yield Video("vp9.webm", f"-c:v libvpx-vp9 {YUV}", sound="-c:a libopus")
    yield Video("vp9.ivf", f"-c:v libvpx-vp9 {YUV}")
    yield Video("theora.ogv", f"-c:v libtheora {YUV}", sound="-c:a libvorbis")
    yield Video("mpeg4.avi", f"-c:v mpeg4 {YUV}", sound="-c:a libmp3lame")
    yield Video("mpeg4b.avi", f"-c:v mpeg4 -bf 2 {YUV}", sound="-c:a pcm_s16le")
    yield Video("msmpeg4.asf", f"-c:v msmpeg4 {YUV}", sound="-c:a wmav2")
    yield Video("wmv.wmv", f"-c:v wmv2 {YUV}", sound="-c:a wmav2")
    yield Video("mpeg1.mpg", f"-c:v mpeg1video {YUV}", rate="25", sound="-c:a mp2")
    yield Video("mpeg2.mpg", f"-c:v mpeg2video -bf 2 {YUV}", rate="25", sound="-c:a mp2")
    yield Video("mpeg2.mxf", f"-c:v mpeg2video {YUV}", rate="25", sound="-c:a pcm_s16le -ar 48000")
    yield Video("dv.dv", "-c:v dvvideo -pix_fmt yuv420p", size="720x576", rate="25", sound="-c:a pcm_s16le -ac 2", note="interlaced")
    yield Video("mjpeg.avi", "-c:v mjpeg -pix_fmt yuvj420p")
    yield Video("mjpeg.mov", "-c:v mjpeg -pix_fmt yuvj422p", sound="-c:a alac")
    yield Video("huffyuv.avi", "-c:v huffyuv -pix_fmt yuv422p")
    yield Video("ffv1.mkv", "-c:v ffv1", sound="-c:a flac")
    yield Video("prores.mov", "-c:v prores_ks -pix_fmt yuv422p10le", sound="-c:a pcm_s24le")
    yield Video("prores4444.mov", "-c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le", filters="format=yuva444p,colorchannelmixer=aa=0.5",
                note="transparent")  # fmt: skip
    yield Video("dnxhd.mov", "-c:v dnxhd -profile:v dnxhr_lb -pix_fmt yuv422p", size="256x128")
    yield Video("raw.y4m", YUV)
    yield Video("raw.nut", "-c:v rawvideo -pix_fmt rgb24", sound="-c:a pcm_f32le")
    yield Video("animation.gif", "")
    yield Video("animation.apng", "-plays 0 -f apng")
    yield Video("flash.flv", f"-c:v flv {YUV}", sound="-c:a libmp3lame -ar 44100")
    yield Video("svq1.mov", "-c:v svq1 -pix_fmt yuv410p")
    yield Video("cinepak.avi", "-c:v cinepak")
    yield Video("qtrle.mov", "-c:v qtrle -pix_fmt rgb24")
    yield Video("snow.avi", "-c:v snow -strict -2")


def pictures():
    yield Video("one.png", "-frames:v 1", seconds=0.1)
    yield Video("one.jpg", "-frames:v 1", seconds=0.1)
    yield Video("one.webp", "-frames:v 1", seconds=0.1)
    yield Video("one.bmp", "-frames:v 1", seconds=0.1)
    yield Video("one.mp4", f"-c:v libx264 {YUV} -frames:v 1", seconds=0.1)
    yield Video("odd.mkv", "-c:v ffv1", size="97x63")
    yield Video("narrow.mp4", f"-c:v libx264 {YUV}", size="32x256")
    yield Video("anamorphic.mp4", f"-c:v libx264 {YUV}", filters="setsar=4/3")
    yield Video("anamorphic.mpg", f"-c:v mpeg2video {YUV} -aspect 16:9", rate="25", size="96x96")
    yield Video("turned90.mp4", f"-c:v libx264 {YUV}", damage=turned(90))
    yield Video("turned180.mp4", f"-c:v libx264 {YUV}", damage=turned(180))
    yield Video("turned270.mov", f"-c:v libx264 {YUV}", damage=turned(270), sound=AAC)
    yield Video("tenbit.mp4", "-c:v libx264 -pix_fmt yuv420p10le")
    yield Video("tenbit.mkv", "-c:v libx265 -pix_fmt yuv422p10le -x265-params log-level=none")
    yield Video("twelvebit.mkv", "-c:v ffv1 -pix_fmt yuv444p12le")
    yield Video("full444.mp4", "-c:v libx264 -pix_fmt yuv444p")
    yield Video("grey.mkv", "-c:v ffv1 -pix_fmt gray")
    yield Video("grey16.mkv", "-c:v ffv1 -pix_fmt gray16le")
    yield Video("paletted.avi", "-c:v rawvideo -pix_fmt pal8", filters="split[a][b];[a]palettegen[p];[b][p]paletteuse")
    yield Video("bits.avi", "-c:v rawvideo -pix_fmt rgb555le")
    yield Video("alpha.mov", "-c:v qtrle -pix_fmt argb", filters="format=rgba,colorchannelmixer=aa=0.5", note="transparent")
    yield Video("alpha.webm", "-c:v libvpx -pix_fmt yuva420p -auto-alt-ref 0", filters="format=yuva420p")
    yield Video("fields.mpg", f"-c:v mpeg2video {YUV} -flags +ilme+ildct -top 1", rate="25", size="96x96", filters="interlace", note="interlaced")
    yield Video("fields.mp4", f"-c:v libx264 {YUV} -flags +ilme+ildct", rate="50", size="96x96", filters="interlace", note="interlaced")
    yield Video("bt709.mp4", f"-c:v libx264 {YUV} -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv")
    yield Video("full.mp4", f"-c:v libx264 {YUV} -colorspace smpte170m -color_range pc", filters="scale=out_range=full")
    yield Video("bt2020.mp4", f"-c:v libx264 {YUV} -colorspace bt2020nc -color_primaries bt2020 -color_trc bt2020-10")
    yield Video("pq.mp4", "-c:v libx265 -pix_fmt yuv420p10le -x265-params log-level=none:colorprim=9:transfer=16:colormatrix=9", note="HDR")
    yield Video("hlg.mp4", "-c:v libx265 -pix_fmt yuv420p10le -x265-params log-level=none:colorprim=9:transfer=18:colormatrix=9", note="HDR")


def times():
    yield Video("slow.mp4", f"-c:v libx264 {YUV}", rate="1", seconds=4, sound=AAC)
    yield Video("fast.mp4", f"-c:v libx264 {YUV}", rate="240", seconds=0.1, sound=AAC)
    yield Video("ntsc.mp4", f"-c:v libx264 {YUV}", rate="30000/1001", seconds=0.5, sound=AAC)
    yield Video("film.mkv", f"-c:v libx264 {YUV}", rate="24000/1001", seconds=0.5, sound="-c:a ac3")
    yield Video("variable.mkv", f"-c:v libx264 {YUV} -vsync vfr", rate="30", seconds=1, filters="select='not(mod(n,7))+gt(n,20)'", sound=AAC)
    yield Video("variable.mp4", f"-c:v libx264 {YUV} -vsync vfr -video_track_timescale 90000", rate="30", seconds=1,
                filters="select='not(mod(n,5))'", sound=AAC)  # fmt: skip
    yield Video("late.mkv", f"-c:v libx264 {YUV} -output_ts_offset 100", sound=AAC)
    yield Video("start.mp4", f"-c:v libx264 -bf 2 -g 50 {YUV}", seconds=3, sound=AAC, options=["--start", "1.25", "--count", "6"], frames=6, lasts=0.6)
    yield Video("every.mp4", f"-c:v libx264 {YUV}", seconds=2, sound="-c:a libopus", options=["--every", "4"], frames=5, lasts=2)
    yield Video("beyond.mp4", f"-c:v libx264 {YUV}", options=["--start", "9"], refusal="choose a smaller 'start'")
    yield Video("enlarged.mp4", f"-c:v libx264 {YUV}", size="322x242", options=["--output-size", "source"])
    for codec in ("hevc", "av1", "vp9"):
        yield Video(f"to-{codec}.mp4", f"-c:v libx264 {YUV}", sound=AAC, options=["--codec", codec])


def sounds():
    picture = "-f lavfi -i testsrc2=size=96x64:rate=10:duration={}"
    tone = "-f lavfi -i sine=frequency=440:sample_rate=48000:duration={}"
    yield Video("shorter.mp4", f"-c:v libx264 {YUV} {AAC}", inputs=[picture.format(1), tone.format(0.4)])
    yield Video("longer.mp4", f"-c:v libx264 {YUV} {AAC}", inputs=[picture.format(0.5), tone.format(1.5)])
    yield Video("later.mkv", f"-c:v libx264 {YUV} {AAC}", inputs=[picture.format(1), "-itsoffset 0.5", tone.format(1)])
    yield Video("earlier.mkv", f"-c:v libx264 {YUV} {AAC}", inputs=["-itsoffset 0.5", picture.format(1), tone.format(1)])
    yield Video("two.mkv", f"-map 0:v -map 1:a -map 2:a -c:v libx264 {YUV} -c:a:0 libmp3lame -c:a:1 flac",
                inputs=[picture.format(1), tone.format(1), tone.format(1)])  # fmt: skip
    yield Video("around.mkv", f"-c:v libx264 {YUV} -c:a ac3 -ac 6", inputs=[picture.format(1), tone.format(1)])
    yield Video("around.mov", f"-c:v libx264 {YUV} -c:a pcm_s16le -ac 6", inputs=[picture.format(1), tone.format(1)])
    yield Video("telephone.avi", f"-c:v mpeg4 {YUV} -c:a pcm_mulaw -ar 8000", inputs=[picture.format(1), tone.format(1)])
    yield Video("dts.mkv", f"-c:v libx264 {YUV} -c:a dca -strict -2 -ar 48000", inputs=[picture.format(1), tone.format(1)])
    yield Video("high.mkv", f"-c:v libx264 {YUV} -c:a pcm_s24le -ar 192000", inputs=[picture.format(1), tone.format(1)])
    yield Video("sound.mp3", "-c:a libmp3lame", inputs=[tone.format(1)], refusal="is not a video")
    yield Video("sound.m4a", AAC, inputs=[tone.format(1)], refusal="has no video in it")
    yield Video("sound.ogg", "-c:a libvorbis", inputs=[tone.format(1)], refusal="has no video in it")


def broken():
    whole = f"-c:v libx264 {YUV} -movflags +faststart"
    yield Video("empty.mp4", whole, damage=lambda data: b"", refusal="is empty")
    yield Video("text.mp4", whole, damage=lambda data: b"no video at all\n" * 100, refusal="is not a video")
    yield Video("index.mp4", f"-c:v libx264 {YUV}", damage=cut(0.5), refusal="is not a video")
    for share in (0.4, 0.7, 0.95):
        yield Video(f"cut{int(share * 100)}.mp4", whole, damage=cut(share), seconds=2, sound=AAC, frames=-1)
        yield Video(f"cut{int(share * 100)}.mkv", f"-c:v libx264 {YUV}", damage=cut(share), seconds=2, sound=AAC, frames=-1)
        yield Video(f"cut{int(share * 100)}.ts", f"-c:v libx264 {YUV}", damage=cut(share), seconds=2, sound=AAC, frames=-1)
    yield Video("head.mkv", f"-c:v libx264 {YUV}", damage=cut(0.01), refusal="is not a video")
    yield Video("hole.mp4", whole, damage=zeroed(0.6, 0.8), seconds=2, sound=AAC, frames=-1)
    yield Video("hole.avi", f"-c:v mpeg4 {YUV}", damage=zeroed(0.5, 0.6), seconds=2, sound="-c:a libmp3lame", frames=-1)


def others(folder):
    """What takes more than one file to make."""
    (folder / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    yield Video("words.mkv", "-c:s srt", inputs=[f"-i {folder}/words.srt"], refusal="has no video in it")
    cover = folder / "cover.png"
    Video("cover.png", "-frames:v 1", seconds=0.1).make(cover)
    yield Video("cover.m4a", f"{AAC} -map 0 -map 1 -c:v png -disposition:v attached_pic",
                inputs=["-f lavfi -i sine=duration=1", f"-i {cover}"], refusal="has no video in it")  # fmt: skip
    yield Video("subtitled.mkv", f"-c:v libx264 {YUV} -c:s srt",
                inputs=["-f lavfi -i testsrc2=size=96x64:rate=10:duration=1", f"-i {folder}/words.srt"])  # fmt: skip


@dataclass
class Facts:
    """What ffprobe says of a file."""

    frames: int
    begins: float
    ends: float
    rate: float
    shape: float
    """width over height, as shown"""
    sound: str
    """the codec, or none"""
    sound_begins: float
    sound_ends: float
    colors: tuple
    is_timed: bool
    """whether every frame says when it is shown"""

    @classmethod
    def of(cls, path):
        """None where there is no video."""
        command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_packets", "-show_frames", str(path)]
        said = json.loads(subprocess.run(command, capture_output=True, text=True).stdout or "{}")
        streams = said.get("streams", [])
        entries = said.get("packets_and_frames", []) or said.get("frames", [])
        video = next((s for s in streams if s["codec_type"] == "video" and not s["disposition"]["attached_pic"]), None)
        if video is None:
            return None
        audio = [s for s in streams if s["codec_type"] == "audio"]
        audio = next((s for s in audio if s["disposition"]["default"]), audio[0] if audio else None)

        def shown(stream):
            """Begin and end, in seconds, of each frame that a player gets."""
            found = []
            for entry in entries:
                if entry.get("type", "frame") != "frame" or stream is None or entry["stream_index"] != stream["index"]:
                    continue
                time = entry.get("best_effort_timestamp_time", entry.get("pts_time"))
                length = entry.get("pkt_duration_time", entry.get("duration_time"))
                found.append((None if time in (None, "N/A") else float(time), 0 if length in (None, "N/A") else float(length)))
            return found

        frames, heard = shown(video), shown(audio)
        rate = float(Fraction(video["avg_frame_rate"])) if video["avg_frame_rate"] != "0/0" else 0
        times = [time for time, _ in frames if time is not None]
        begins = min(times, default=0)
        ends = max((time + (length or (1 / rate if rate else 0)) for time, length in frames if time is not None), default=0)
        if len(times) < len(frames) and rate:
            known = next((index for index, (time, _) in enumerate(frames) if time is not None), 0)
            begins = max(0, (times[0] if times else 0) - known / rate)
            ends = begins + len(frames) / rate
        sounding = [(time, time + length) for time, length in heard if time is not None]
        width, height = video["width"], video["height"]
        aspect = video.get("sample_aspect_ratio", "1:1").split(":")
        shape = width / height * (int(aspect[0]) / int(aspect[1]) if "0" not in aspect and len(aspect) == 2 else 1)
        colors = tuple(video.get(key) for key in ("color_space", "color_primaries", "color_transfer", "color_range"))
        # What is no luma and chroma is coded anew.
        is_rgb = any(part in video.get("pix_fmt", "") for part in ("rgb", "bgr", "gbr", "pal"))
        turn = next((data["rotation"] for data in video.get("side_data_list", []) if "rotation" in data), 0)
        return cls(
            frames=len(frames), begins=begins, ends=ends, rate=rate, shape=1 / shape if turn % 180 else shape,
            sound=audio["codec_name"] if audio and heard else "", sound_begins=min((a for a, _ in sounding), default=0),
            sound_ends=max((b for _, b in sounding), default=0),
            colors=() if is_rgb else colors,
            is_timed=len(times) == len(frames),
        )  # fmt: skip


def differences(video, clip, edit):
    """What is not as it was, in sentences."""
    found = []

    def near(what, before, after, tolerance):
        if abs(before - after) > tolerance:
            found.append(f"{what}: {before:.3f} became {after:.3f}")

    damaged = video.frames < 0
    if not damaged:
        frames = video.frames or clip.frames
        if edit.frames != frames:
            found.append(f"{frames} frames became {edit.frames}")
        near("duration", video.lasts or clip.ends - clip.begins, edit.ends - edit.begins, 0.012)
        lasts = clip.ends - clip.begins
        # A container may tell the finest step of a variable rate.
        is_constant = clip.rate and clip.frames > 1 and abs(clip.frames / clip.rate - lasts) < 0.1 * lasts
        if not video.options and is_constant:
            near("rate", 1, edit.rate / clip.rate, 0.02)
    elif edit.frames < 1:
        found.append("no frame is left")
    # The working size has sides of multiples of 8.
    near("shape", 1, edit.shape / (video.shape or clip.shape), 0.13)
    if bool(clip.sound) != bool(edit.sound) and not damaged:
        found.append(f"the sound '{clip.sound}' became '{edit.sound}'")
    elif clip.sound and edit.sound:
        wanted = clip.sound if clip.sound in COPIED else "aac"
        if edit.sound != wanted:
            found.append(f"the sound is {edit.sound}, not {wanted}")
        if not damaged and not video.options:
            # A packet may be cut off, and an encoder fills its last one.
            if clip.is_timed:
                near("the sound's begin after the pictures'", max(clip.sound_begins - clip.begins, -0.03 if clip.begins - clip.sound_begins < 0.1 else -9),
                     edit.sound_begins - edit.begins, 0.06)  # fmt: skip
            near("the sound's end after the pictures' begin", clip.sound_ends - clip.begins, edit.sound_ends - edit.begins, 0.1)
        elif not damaged:
            near("the sound's end", video.lasts or clip.sound_ends, edit.sound_ends, 0.1)
    for before, after in zip(clip.colors, edit.colors):
        usual = before in (None, "unknown", "reserved", "gbr") or video.note == "HDR" or after == before
        if not usual:
            found.append(f"the colours {clip.colors} became {edit.colors}")
            break
    return found


def edited(video, folder, arguments):
    """Makes a video, edits it, and says what is wrong with that, in sentences; None where ffmpeg cannot make it."""
    source, output = folder / video.name, folder / f"{video.name}-edited.mp4"
    if (problem := video.make(source)) is not None:
        say(f"{video.name}: ffmpeg cannot make it: {problem}")
        return None
    command = [
        arguments.programs / "stemctl", "edit", source, "--output", output, "--prompt", "a ball", "--method", "reconstruct", "--inversion", "ddim",
        "--steps", "1", "--size", "64", "--model", arguments.models / "tiny-world", "--threads", "1", *video.options,
    ]  # fmt: skip
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    words = run.stderr.strip()
    if run.returncode < 0 or run.returncode > 64:
        return [f"ended with {run.returncode}: {words[-200:]}"]
    clip = Facts.of(source) if source.stat().st_size else None
    if video.refusal or clip is None:
        if run.returncode == 0:
            return ["was not refused"]
        return [] if video.refusal in words and not output.exists() else [f"was refused with other words: {words[-300:]}"]
    if run.returncode:
        return [f"was refused: {words[-300:]}"]
    found = differences(video, clip, Facts.of(output))
    if video.note and video.note not in words:
        found.append(f"no note says '{video.note}': {words[-300:]}")
    return found


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--only", help="only videos whose name holds this text")
    arguments.add_argument("--at-once", type=int, default=2, help="how many are edited at the same time")
    arguments = arguments.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="stemd-corpus-", dir=arguments.folder))
    promises = Promises("odd videos")
    try:
        videos = [video for kind in (containers(), pictures(), times(), sounds(), broken(), others(folder)) for video in kind]
        videos = [video for video in videos if not arguments.only or arguments.only in video.name]

        def judge(video):
            try:
                return edited(video, folder, arguments)
            except subprocess.TimeoutExpired:
                return ["took ten minutes"]

        with ThreadPoolExecutor(arguments.at_once) as pool:
            results = list(zip(videos, pool.map(judge, videos)))
        made = [(video, found) for video, found in results if found is not None]
        promises.measured("videos that ffmpeg could make", f"{len(made)} of {len(videos)}")
        promises.measured("of them refused, as they must be", sum(bool(video.refusal) for video, _ in made))
        promises.nothing_of("edits that are not as the clip was", [f"{video.name}: {'; '.join(found)}" for video, found in made if found])
        if not arguments.only:
            promises.promised("enough of them", len(made), "at least 40", len(made) >= 40)
    finally:
        if arguments.keep:
            say(f"left behind: {folder}")
        else:
            shutil.rmtree(folder)
    promises.settle()


if __name__ == "__main__":
    main()
