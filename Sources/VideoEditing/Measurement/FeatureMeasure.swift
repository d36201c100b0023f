import StableDiffusion
import Tensor

/// What the features of an inversion say of a clip (the feature figure of "A Video is Worth 256
/// Bases"): how well those of a frame agree with those of the frame before, moved as the clip moves,
/// at each time step; and at one time step what they look like.
///
/// Features are the output of the UNet's last self-attention, in the very calls that invert the
/// clip.
public final class FeatureMeasure {
  /// Where a clip's features are looked at in a picture: not more frames than these, spread evenly.
  public static let picturedFrames = 16

  /// For each time step the mean cosine similarity, over all pixels that were in sight in the frame
  /// before.
  public var consistency: [(timestep: Int, value: Double)] {
    timesteps.compactMap { timestep in
      guard let sum = sums[timestep], sum.count > 0, sum.cosines.isFinite else { return nil }
      // In 32 bits, which is what a checkpoint keeps of it.
      return (timestep, Double(Float(sum.cosines / sum.count)))
    }
  }

  /// The features in the middle of the inversion, (frames, height, width, 3) in [-1, 1].
  public private(set) var picture: Tensor?

  /// Time steps of which nothing is known: an earlier run passed them without looking.
  public var missed: Int { timesteps.count { sums[$0] == nil } }

  private let source: Pictures
  private let timesteps: [Int]
  private let picturedTimestep: Int?
  private let pictured: [Int]
  private let scratchFolder: String?
  private var followsMotion: Bool
  /// Why there is no consistency, though it was to be measured.
  public private(set) var failure: String?

  private var sums: [Int: (cosines: Double, count: Double)] = [:]
  /// Of the frames after the first, on the features' grid.
  private var motions: [FrameMotion] = []
  private var current: Int?
  private var seen: Set<Int> = []
  /// Of frames with a neighbour that is still to come, (n, channels).
  private var waiting: [Int: Tensor] = [:]
  private var portraits: [Int: Tensor] = [:]

  /// - Parameters:
  ///   - timesteps: at which to look, clean to noisy.
  ///   - scratchFolder: where there is room for the motion of a long clip.
  ///   - followsMotion: whether there is optical flow to measure consistency by, or only the picture
  ///     is to be had.
  public init(
    _ source: Pictures, timesteps: [Int], scratchFolder: String? = nil, followsMotion: Bool = true
  ) {
    (self.source, self.timesteps, self.scratchFolder) = (source, timesteps, scratchFolder)
    self.followsMotion = followsMotion && source.frames > 1
    picturedTimestep = timesteps.isEmpty ? nil : timesteps[(timesteps.count - 1) / 2]
    pictured = ClipPasses.sample(of: source.frames, count: Self.picturedFrames)
  }

  /// - Parameters:
  ///   - features: (rows, n, channels), a row for each of `frames`.
  /// - Throws: `DurableFileError`, and what reading the clip throws.
  func add(_ features: Tensor, _ grid: FeatureGrid, _ frames: [Int], _ timestep: Int) throws {
    guard timesteps.contains(timestep) else { return }
    if followsMotion, motions.isEmpty {
      do {
        motions = try self.motions(on: grid)
      } catch let error as OpticalFlowError {
        (followsMotion, failure) = (false, error.description)
      }
    }
    if current != timestep {
      (current, seen, waiting, portraits) = (timestep, [], [:], [:])
      sums[timestep] = (0, 0)
    }
    for (row, frame) in frames.enumerated() {
      let own = features.rows(row..<row + 1).reshaped(Array(features.shape.dropFirst()))
      if followsMotion { compare(own, of: frame, timestep) }
      if timestep == picturedTimestep, pictured.contains(frame) { portraits[frame] = own.copied() }
    }
    if portraits.count == pictured.count, picture == nil, features.shape[2] >= 3 {
      picture = .picture(
        ofFeatures: Tensor.concatenated(pictured.compactMap { portraits[$0] }).reshaped(
          [pictured.count, grid.height, grid.width, features.shape[2]]))
      portraits = [:]
    }
  }

  /// Compares a frame's features with those of its neighbours that are known already.
  private func compare(_ own: Tensor, of frame: Int, _ timestep: Int) {
    seen.insert(frame)
    for (previous, next) in [(frame - 1, frame), (frame, frame + 1)] {
      let other = previous == frame ? next : previous
      guard let others = waiting[other] else { continue }
      let motion = motions[next - 1]
      let sum =
        previous == frame
        ? motion.cosines(from: own, to: others) : motion.cosines(from: others, to: own)
      sums[timestep]?.cosines += sum.cosines
      sums[timestep]?.count += Double(sum.count)
      if isDone(other) { waiting[other] = nil }
    }
    if !isDone(frame) { waiting[frame] = own }
  }

  /// Whether both of a frame's neighbours were there at this time step.
  private func isDone(_ frame: Int) -> Bool {
    (frame == 0 || seen.contains(frame - 1))
      && (frame == source.frames - 1 || seen.contains(frame + 1))
  }

  private func motions(on grid: FeatureGrid) throws -> [FrameMotion] {
    let portion = 16
    let scratch = try scratchFolder.flatMap {
      source.frames > ClipPasses.wholeFrames ? try ScratchFile(folder: $0) : nil
    }
    var found: [FrameMotion] = []
    for first in stride(from: 0, to: source.frames - 1, by: portion) {
      let frames = first..<min(source.frames, first + portion + 1)
      let greys = GreyPicture.each(
        of: try source.read(frames).pixels, height: source.height, width: source.width)
      let motions = try FrameMotion.between(greys).map {
        $0.onGrid(height: grid.height, width: grid.width)
      }
      // One mapping for all of them.
      let fields = Tensor.concatenated(motions.map(\.field)).reshaped(
        [motions.count, grid.height, grid.width, 3])
      let kept = try scratch?.keep(fields) ?? fields
      found += motions.indices.map {
        FrameMotion(field: kept.rows($0..<$0 + 1).reshaped([grid.height, grid.width, 3]))
      }
    }
    return found
  }

  // MARK: What a time step leaves

  private static let sumName = "feature-consistency"
  private static let pictureName = "feature-picture"

  /// What is known of a time step, by names that no method gives to its states.
  func state(_ timestep: Int) -> EditState {
    guard let sum = sums[timestep] else { return [:] }
    let mean = Float(sum.cosines / max(1, sum.count))
    var state = [Self.sumName: Tensor([mean, Float(sum.count)], shape: [2])]
    if timestep == picturedTimestep { state[Self.pictureName] = picture }
    return state
  }

  /// Takes what an earlier run knew of a time step.
  func recall(_ state: EditState, _ timestep: Int) {
    guard let sum = state[Self.sumName], sum.shape == [2], sum.isFinite else { return }
    let (mean, count) = (Double(sum.values[0]), Double(sum.values[1]))
    sums[timestep] = (mean * count, count)
    if timestep == picturedTimestep, let known = state[Self.pictureName], known.shape.count == 4,
      known.shape[0] == pictured.count, known.shape[3] == 3, known.isFinite
    {
      picture = known
    }
  }
}

extension FrameMotion {
  /// The cosine similarity between a frame's features and what those of the frame before become,
  /// added up over the cells that were in sight.
  ///
  /// - Parameters:
  ///   - previous, next: (height · width, channels).
  func cosines(from previous: Tensor, to next: Tensor) -> (cosines: Double, count: Int) {
    let channels = next.shape[1]
    precondition(
      next.shape == [height * width, channels] && previous.shape == next.shape,
      "\(previous.shape) and \(next.shape) for \(width)x\(height) cells")
    // A row each, so that the sum is the same whatever the number of threads.
    var rows = [(cosines: Double, count: Int)](repeating: (0, 0), count: height)
    previous.withValues { previous in
      next.withValues { next in
        rows.withUnsafeMutableBufferPointer { rows in
          Parallel.ranges(of: height) { range in
            for y in range {
              forEachVisible(inRow: y) { pixel, taps in
                var (product, left, right) = (Float(0), Float(0), Float(0))
                for channel in 0..<channels {
                  let a = taps.value(previous, channels, channel)
                  let b = next[pixel * channels + channel]
                  product += a * b
                  left += a * a
                  right += b * b
                }
                // As PyTorch has it, so that nothing is divided by zero.
                let lengths = max(left.squareRoot(), 1e-8) * max(right.squareRoot(), 1e-8)
                rows[y].cosines += Double(product / lengths)
                rows[y].count += 1
              }
            }
          }
        }
      }
    }
    return rows.reduce((0, 0)) { ($0.0 + $1.cosines, $0.1 + $1.count) }
  }
}
