import EditSettings
import Foundation
import VideoFile

extension ClipLimits {
  /// Lets the decoder stop as soon as a limit is passed, rather than read all of a huge clip.
  func narrowed(_ options: DecodingOptions) -> DecodingOptions {
    var options = options
    if let frames { options.maximumFrames = min(options.maximumFrames, max(0, frames)) }
    if let framePixels { options.maximumPixels = min(options.maximumPixels, max(0, framePixels)) }
    return options
  }

  /// What the decoder's refusal means where one of these limits was the cause.
  func refusal(_ error: VideoFileError) -> ClipEditError? {
    guard error.kind == .limit else { return nil }
    let unlimited = DecodingOptions(size: .source)
    if let frames, frames < unlimited.maximumFrames, error.problem.contains("(maximumFrames)") {
      return ClipEditError(
        "the clip has more frames than the limit 'frames' of \(frames): set fewer 'frames' or ask the operator to raise it"
      )
    }
    if let framePixels, framePixels < unlimited.maximumPixels,
      error.problem.contains("(maximumPixels)")
    {
      // "has frames of 1920x1080"
      let what = error.problem.prefix { $0 != "," }
      return ClipEditError(
        "the clip \(what), above the limit 'frame_pixels' of \(framePixels): scale it down or ask the operator to raise it"
      )
    }
    return nil
  }

  /// - Parameters:
  ///   - needed: estimated bytes that the edit takes.
  ///   - forBases: what STEM's bases have of them.
  func refusal(
    for clip: (frames: Int, width: Int, height: Int), needed: Int, forBases bases: Int = 0
  ) -> ClipEditError? {
    func smaller(_ limit: Int) -> String {
      needed - bases > limit
        ? "choose a smaller 'size' or fewer 'frames'"
        : "choose fewer 'bases', a smaller 'size' or fewer 'frames'"
    }
    let work =
      "\(clip.frames) frames of \(clip.width)x\(clip.height) would take about \(gibibytes(needed)) of memory"
    if let memoryBytes, needed > memoryBytes {
      return ClipEditError(
        "\(work), above the limit 'worker_memory' of \(gibibytes(memoryBytes)): \(smaller(memoryBytes)), or ask the operator to raise it"
      )
    }
    let available = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    guard needed > available else { return nil }
    return ClipEditError(
      "\(work), and this machine has \(gibibytes(available)): \(smaller(available))")
  }

  private func gibibytes(_ bytes: Int) -> String {
    String(format: "%.1f GiB", Double(bytes) / 0x1p30)
  }
}
