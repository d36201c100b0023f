import EditReport
import EditSettings
import Foundation
import Tensor
import VideoEditing
import VideoFile

/// The clips of an edit as a presentation shows them: the source, what the inversion kept of it
/// where somebody looked, and the edit.
struct PresentedClips {
  /// In the order in which they stand side by side.
  private let clips: [(role: EditReport.Clip.Role, movie: any Movie)]
  private let sound: SoundSource?
  private let scratchFolder: String
  private let video: VideoProcess

  /// A longer clip is shown with frames left out: a page must stay small enough to be mailed.
  private static let mostFrames = 240
  private static let longestPreviewSide = 512
  private static let mostPreviewBytes = 6 << 20
  private static let framesInStrip = 8
  /// In pixels.
  private static let widest = 16_384
  private static let longestStrip = 2048

  /// - Parameters:
  ///   - sound: what is heard with them.
  ///   - scratchFolder: where there is room for files that are soon gone again.
  init(
    source: any Movie, reconstruction: (any Movie)?, edit: any Movie, _ video: VideoProcess,
    sound: SoundSource? = nil, scratchFolder: String
  ) {
    clips =
      [(.source, source)] + (reconstruction.map { [(.reconstruction, $0)] } ?? [])
      + [(.edit, edit)]
    (self.video, self.sound, self.scratchFolder) = (video, sound, scratchFolder)
  }

  /// The videos and pictures that lie beside the page.
  /// - Parameter omitted: told of a file that there is not, in a sentence.
  /// - Throws: `ClipEditError`, `VideoFileError`.
  func deliver(to presentation: EditPresentation, omitted: (String) -> Void) throws {
    let titled = TitledMovie.titled(clips.map { ($0.movie, $0.role.label) })
    let all = SideBySide(titled)
    guard all.width <= Self.widest else {
      return omitted(
        "\(EditReport.comparisonName), \(EditReport.posterName): side by side the clips are \(all.width) pixels wide, more than a video can be"
      )
    }
    try video.deliver(
      all, to: presentation.path(EditReport.comparisonName), options: EncodingOptions(sound: sound))
    // The middle of source and edit.
    let middle = titled[0].frameCount / 2
    let ends = [titled[0], titled[titled.count - 1]]
    try video.deliver(
      SideBySide(ends.map { SomeFrames([middle], of: $0) }),
      to: presentation.path(EditReport.posterName),
      options: EncodingOptions(format: .png))
  }

  func player() throws -> EditReport.Player {
    let source = clips[0].movie
    let frames = SomeFrames.even(Self.mostFrames, of: source.frameCount)
    let size = Self.previewSize(source)
    let timing = SomeFrames(frames, of: source).timing
    return EditReport.Player(
      clips: try clips.map { clip in
        EditReport.Clip(
          clip.role, movie: try preview(of: SomeFrames(frames, of: clip.movie), size))
      },
      size: size,
      times: (timing.pts + [(timing.pts.last ?? 0) + timing.lastFrameDuration]).map {
        Double($0) * timing.timeBase.value
      },
      isSampled: frames.count == source.frameCount
        ? nil
        : "Shown are \(frames.count) of \(source.frameCount) frames; edited.mp4 and comparison.mp4 have all of them."
    )
  }

  /// A row of frames of each clip.
  func strips() throws -> [EditReport.Picture] {
    try clips.map { clip in
      let most = max(1, Self.widest / (clip.movie.width + SideBySide.gap))
      let frames = SomeFrames.even(
        min(Self.framesInStrip, most), of: clip.movie.frameCount)
      let row = SideBySide(frames.map { SomeFrames([$0], of: clip.movie) })
      let scale = min(1, Double(Self.longestStrip) / Double(row.width))
      let size = FrameSize(
        width: Int(Double(row.width) * scale), height: max(1, Int(Double(row.height) * scale)))
      let numbers = frames.map { "\($0 + 1)" }.joined(separator: ", ")
      return EditReport.Picture(
        try bytes(
          of: row,
          EncodingOptions(format: .jpeg, size: .init(width: size.width, height: size.height))),
        size: size, label: clip.role.label,
        description: "\(clip.role.label): frames \(numbers) side by side")
    }
  }

  /// - Parameter features: (frames, height, width, 3) in [-1, 1].
  func picture(ofFeatures features: Tensor) throws -> EditReport.Picture {
    let (frames, height, width) = (features.shape[0], features.shape[1], features.shape[2])
    let movie = VideoClip(
      width: width, height: height,
      timing: VideoTiming(frameRate: Rational(1, 1), frameCount: frames), pixels: features.pixels)
    let row = SideBySide(
      SomeFrames.even(Self.framesInStrip, of: frames).map { SomeFrames([$0], of: movie) }, gap: 1)
    return EditReport.Picture(
      try bytes(of: row, EncodingOptions(format: .png)),
      size: FrameSize(width: row.width, height: row.height), label: "Features",
      description:
        "What the model sees in frames across the clip: the first three principal components of its features, as colours. What has one colour is one thing to it; the steadier the colours, the steadier an edit can be."
    )
  }

  /// Small enough for a page, at the best quality that is.
  private func preview(of movie: some Movie, _ size: FrameSize) throws -> Data {
    var found = Data()
    for quality in [20, 27, 34] {
      found = try bytes(
        of: movie,
        EncodingOptions(
          format: .h264, quality: quality, size: .init(width: size.width, height: size.height)))
      if found.count <= Self.mostPreviewBytes { break }
    }
    return found
  }

  private func bytes(of movie: some Movie, _ options: EncodingOptions) throws -> Data {
    let path = "\(scratchFolder)/.presented-\(UUID().uuidString).part"
    defer { unlink(path) }
    try video.encode(movie, to: path, options: options, isCancelled: VideoProcess.goesOn)
    return try Data(contentsOf: URL(fileURLWithPath: path))
  }

  private static func previewSize(_ movie: some Movie) -> FrameSize {
    let scale = min(1, Double(longestPreviewSide) / Double(max(movie.width, movie.height)))
    // H.264 has even sides.
    func even(_ side: Int) -> Int { max(2, Int((Double(side) * scale / 2).rounded()) * 2) }
    return FrameSize(width: even(movie.width), height: even(movie.height))
  }
}
