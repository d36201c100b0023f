import CLibAV

/// Writes videos and pictures with libav, in this process.
enum VideoEncoder {
  /// Writes `clip` to the empty regular file behind `descriptor`, open for reading and writing. It
  /// stays open, and syncing it is the caller's business.
  ///
  /// By default what every player opens: H.264 in mp4, yuv420p, High profile, constant quality (crf
  /// 16), the index before the pictures (faststart). RGB is converted back with the matrix and range
  /// that the clip's file has, and tagged so (`ColorTags.coded`). Presentation times are kept exactly,
  /// but for time bases that an mp4 file cannot hold (`VideoTiming.fittingMovie`). The same clip
  /// gives the same bytes.
  /// - Throws: `VideoFileError`; sides must be even, and frames at least one.
  static func encode(
    _ clip: some Movie, descriptor: Int32, name: String = "the video",
    options: EncodingOptions = EncodingOptions()
  ) throws {
    try naming(name) {
      let timing = try clip.timing(for: options)
      try LibAVLog.listening {
        if options.format.isStill {
          var writer = try PictureWriter(descriptor: descriptor, options: options)
          try clip.write(to: &writer, timing: timing)
        } else {
          var writer = try MovieWriter(descriptor: descriptor, options: options)
          try clip.write(to: &writer, timing: timing)
        }
      }
    }
  }
}

extension Movie {
  /// Times that fit the file.
  /// - Throws: `VideoFailure` where its fields contradict each other, or it cannot be such a file.
  func timing(for options: EncodingOptions) throws -> VideoTiming {
    guard frameCount > 0 else {
      throw VideoFailure(.input, "cannot be written: the clip has no frames")
    }
    try options.check(width: width, height: height)
    guard byteCount == frameCount * bytesPerFrame else {
      throw VideoFailure(
        .input,
        "cannot be written: \(frameCount) frames of \(width)x\(height) take \(frameCount * bytesPerFrame) bytes, "
          + "not \(byteCount)"
      )
    }
    let latest: Int64 = 1 << 53
    guard timing.timeBase.isPositive, timing.frameRate.isPositive, timing.pts.first == 0,
      (1..<latest).contains(timing.lastFrameDuration),
      zip(timing.pts, timing.pts.dropFirst()).allSatisfy({ $0 < $1 && $1 < latest })
    else {
      throw VideoFailure(
        .input, "cannot be written: its frames' times do not start at 0 and increase")
    }
    if options.format.isStill, frameCount != 1 {
      throw VideoFailure(
        .input, "cannot be written: a picture has one frame, and the clip has \(frameCount)")
    }
    return timing.fittingMovie()
  }
}

extension EncodingOptions {
  /// Why a clip of this size cannot be written so, after the file's name: "cannot be written …";
  /// `nil` where it can.
  public func refusal(width: Int, height: Int) -> String? {
    do {
      try check(width: width, height: height)
      return nil
    } catch {
      return (error as? VideoFailure)?.problem ?? "\(error)"
    }
  }

  /// The size of the file's pictures, for a clip of this one.
  func outputSize(width: Int, height: Int) -> Size { size ?? Size(width: width, height: height) }

  /// - Throws: `VideoFailure` where a clip of this size cannot be written so.
  func check(width: Int, height: Int) throws {
    let output = outputSize(width: width, height: height)
    let sides = 1...DecodingOptions.longestSide
    for size in [Size(width: width, height: height), output] {
      guard sides.contains(size.width), sides.contains(size.height) else {
        throw VideoFailure(
          .input,
          "cannot be written at \(size.width)x\(size.height): a side has 1 to \(sides.upperBound) pixels"
        )
      }
    }
    guard
      format.isStill || output.width.isMultiple(of: 2) && output.height.isMultiple(of: 2)
    else {
      throw VideoFailure(
        .input,
        "cannot be written at \(output.width)x\(output.height): videos for every player take even sides of 2 to \(sides.upperBound) pixels"
      )
    }
    let least = format.shortestSide
    guard output.width >= least, output.height >= least else {
      throw VideoFailure(
        .input,
        "cannot be written at \(output.width)x\(output.height): \(format.rawValue) takes sides of \(least) pixels or more"
      )
    }
    if let quality, let qualities = format.qualities, !qualities.contains(quality) {
      throw VideoFailure(
        .input,
        "cannot be written with a quality of \(quality): \(format.rawValue) takes \(qualities.lowerBound) to \(qualities.upperBound)"
      )
    }
  }
}
