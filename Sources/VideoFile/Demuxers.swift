/// The containers that are read; every other demuxer of libav is refused, above all those that name
/// further files or devices (hls, dash, concat, image2, sdp, rtsp, lavfi, …) and those that take
/// any text for a picture (tty).
enum Demuxers {
  static let allowed: [String] = [
    // Containers.
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "asf", "flv", "ogg", "nut",
    "mxf", "gxf", "dv", "rm", "wtv",
    "ivf",
    // Streams of one codec.
    "h264", "hevc", "obu", "av1", "vc1", "m4v", "mpegvideo", "mjpeg", "dirac", "yuv4mpegpipe",
    // Animations, and single pictures as clips of one frame.
    "gif", "apng", "gif_pipe", "png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe",
    "qoi_pipe", "pam_pipe", "pbm_pipe",
    "pgm_pipe", "ppm_pipe", "j2k_pipe", "jpegxl_pipe",
  ]

  /// As libav's `format_whitelist` option takes it; it compares comma-separated lists by their
  /// members.
  static var list: String { allowed.joined(separator: ",") }
}
