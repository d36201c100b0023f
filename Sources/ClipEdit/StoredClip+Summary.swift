import EditSettings
import Foundation
import VideoFile

extension StoredClip {
  /// How long, how fast and how large it is, and how large it is edited.
  var summary: String {
    let frames = frameCount == 1 ? "1 frame" : "\(frameCount) frames"
    let rate = timing.frameRate.value.formatted(
      .number.precision(.fractionLength(0...3)).grouping(.never).locale(Locale(identifier: "en")))
    let shown = FrameSize(width: source.width, height: source.height)
    let edited = FrameSize(width: width, height: height)
    return
      "the clip: \(frames) in \(String(format: "%.2f", timing.duration)) s, \(rate) a second; shown at \(shown), edited at \(edited)"
  }
}
