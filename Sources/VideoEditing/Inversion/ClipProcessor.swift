import StableDiffusion
import Tensor

/// What a method plugs in where the rows of a batch are a clip's frames.
public protocol ClipProcessor: UNetProcessor {
  /// How far a frame looks.
  var reach: FrameReach { get }

  /// Told which of the clip's frames the next call of the UNet has.
  func enter(_ part: ClipPart)

  /// The same, and their numbers, and at which time step it is.
  func enter(_ part: ClipPart, frames: [Int], timestep: Int)
}

extension ClipProcessor {
  public func enter(_ part: ClipPart, frames: [Int], timestep: Int) { enter(part) }
}

/// What a frame needs of the others.
public enum FrameReach: Sendable {
  /// Nothing.
  case frame
  /// What an even sample of the clip says of all.
  case sample
  /// All of them, in the same call.
  case clip
}

public enum ClipPart: Sendable {
  case whole
  /// Frames that stand for the clip: what they say is to be kept for the groups.
  case sample
  /// Frames that go by what the sample said.
  case group
}

extension PlainProcessor: ClipProcessor {
  public var reach: FrameReach { .frame }
  public func enter(_ part: ClipPart) {}
}

/// How the UNet goes over a clip of any length in bounded memory: a short clip in one call; of a
/// longer one first an even sample, where frames look at others, and then all others in groups.
public enum ClipPasses {
  /// Frames of the longest clip that goes in one call, and of a sample.
  public static let wholeFrames = 32
  static let groupFrames = 8

  /// Frames spread evenly over the clip.
  static func sample(of frames: Int, count: Int = wholeFrames) -> [Int] {
    guard frames > count else { return Array(0..<frames) }
    return (0..<count).map { (2 * $0 + 1) * frames / (2 * count) }
  }

  /// The rows of all frames, in their order, from a call for each part of the clip.
  ///
  /// - Parameter output: gives the rows of some frames.
  static func over(
    _ frames: Int, reach: FrameReach, _ output: (ClipPart, [Int]) throws -> Tensor
  ) rethrows -> Tensor {
    guard frames > wholeFrames, reach != .clip else {
      return try output(.whole, Array(0..<frames))
    }
    let sample = reach == .sample ? sample(of: frames) : []
    let others = Array(Set(0..<frames).subtracting(sample)).sorted()
    var parts = sample.isEmpty ? [] : [try output(.sample, sample)]
    for group in frameGroups(of: others.count, size: groupFrames) {
      parts.append(try output(.group, Array(others[group])))
    }
    var places = [Int](repeating: 0, count: frames)
    for (place, frame) in (sample + others).enumerated() { places[frame] = place }
    return Tensor.concatenated(parts).rows(places)
  }
}

extension UNet {
  /// The output for all frames of a clip, which share a prompt; the same as one call for all, but
  /// that of a long clip frames look at a sample.
  ///
  /// - Parameters:
  ///   - latents: (frames, height, width, channels).
  ///   - context: (1, tokens, width).
  /// - Returns: like `latents`.
  func overClip(
    _ latents: Tensor, timestep: Int, context: Tensor, processor: some ClipProcessor
  ) throws -> Tensor {
    try ClipPasses.over(latents.shape[0], reach: processor.reach) { part, frames in
      processor.enter(part, frames: frames, timestep: timestep)
      return try self(
        part == .whole ? latents : latents.rows(frames), timestep: timestep, context: context,
        processor: processor)
    }
  }
}
