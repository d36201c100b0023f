import StableDiffusion
import Tensor

/// The UNet that FateZero makes of the image model: rows are the frames of one clip, ResNets
/// normalise over all of them, and in layers with enough channels every frame's self-attention reads
/// the middle frame. Without an edit around it, it is what FateZero's authors invert with; here a
/// clip is inverted as its settings say, which changed the small model's edits by less than 0.1 dB.
///
/// After STEM inversion all self-attention reads the bases of the clip's keys and values instead.
public final class FateZeroNetwork: ClipProcessor {
  private struct Shared {
    /// By the norms' order in a call: the two of a ResNet have the same site.
    var norms: [Int: GroupNorm.Factors] = [:]
    var attention: [LayerSite: FrameAttention] = [:]
    var fusedValues: [LayerSite: Tensor] = [:]
  }

  private let leastChannels: Int
  private let stem: STEMAttention?
  private var part = ClipPart.whole
  private var norm = 0
  private var kept = Shared()

  /// - Parameters:
  ///   - leastChannels: layers with fewer attend within each frame.
  ///   - stem: what inverted the clip, where that was STEM.
  public init(leastChannels: Int, stem: STEMAttention? = nil) {
    (self.leastChannels, self.stem) = (leastChannels, stem)
  }

  public var reach: FrameReach { .sample }

  public func enter(_ part: ClipPart) {
    self.part = part
    norm = 0
  }

  public func groupNorm(
    _ norm: GroupNorm, _ input: Tensor, activation: Activation?, at site: LayerSite
  ) throws -> Tensor {
    let (frames, height) = (input.shape[0], input.shape[1])
    let clip = input.reshaped([1, frames * height] + input.shape.dropFirst(2))
    let factors = shared(\.norms[self.norm]) { norm.factors(of: clip) }
    // A norm is the last of its call at the output.
    self.norm = site.stage == .output ? 0 : self.norm + 1
    return norm.applying(factors, to: clip, activation: activation).reshaped(input.shape)
  }

  public func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  ) throws -> Tensor {
    let read = try attention(layer, hiddenStates, at: site)
    return layer.attend(
      queries: layer.toQueries(hiddenStates), keys: read.keys, values: read.values,
      bias: read.bias)
  }

  /// What the self-attention of frames reads.
  ///
  /// - Parameter hiddenStates: (frames, n, channels).
  func attention(_ layer: AttentionLayer, _ hiddenStates: Tensor, at site: LayerSite) throws
    -> FrameAttention
  {
    if stem == nil, hiddenStates.shape[2] < leastChannels {
      return FrameAttention(
        keys: layer.toKeys(hiddenStates), values: layer.toValues(hiddenStates), summary: .frames)
    }
    if part == .group {
      return shared(\.attention[site]) { preconditionFailure("a group finds nothing itself") }
    }
    let found: FrameAttention
    if let stem {
      let summary = try stem.summary(layer, of: hiddenStates, at: site)
      let bases = summary.bases(layer, of: hiddenStates)
      found = FrameAttention(
        keys: bases.keys, values: bases.values, bias: bases.bias, summary: .bases(summary))
    } else {
      let frame = hiddenStates.middleRow
      found = FrameAttention(
        keys: layer.toKeys(frame), values: layer.toValues(frame), summary: .middle)
    }
    _ = shared(\.attention[site]) { found.withoutTokens }
    return found
  }

  /// The values of frames for the keys of others, the source's: the middle frame's for the middle
  /// frame's keys, and for the source's bases what these stand for among the frames' own tokens.
  func values(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, for summary: FrameAttention.Summary,
    at site: LayerSite
  ) -> Tensor {
    switch summary {
    case .frames: layer.toValues(hiddenStates)
    case .middle:
      shared(\.fusedValues[site]) { layer.toValues(hiddenStates.middleRow) }
    case .bases(let summary):
      shared(\.fusedValues[site]) {
        guard let summary else { preconditionFailure("the sample's values come first") }
        return summary.values(layer, of: hiddenStates)
      }
    }
  }

  /// Finds what frames share, keeps it of a sample, and gives it to groups.
  private func shared<T>(_ place: WritableKeyPath<Shared, T?>, _ find: () -> T) -> T {
    switch part {
    case .whole: return find()
    case .sample:
      let found = find()
      kept[keyPath: place] = found
      return found
    case .group:
      guard let known = kept[keyPath: place] else { preconditionFailure("the sample comes first") }
      return known
    }
  }
}

/// What the self-attention of some frames reads, and how it was made of their tokens.
struct FrameAttention {
  enum Summary {
    /// Each frame has its own.
    case frames
    case middle
    /// By how its tokens count to the bases; `nil` where these are a sample's.
    case bases(STEMAttention.Summary?)
  }

  /// (1 or frames, m, channels).
  let keys, values: Tensor
  /// Of the scores, (heads, m).
  var bias: Tensor?
  let summary: Summary

  /// The same for other frames, which do not need a whole video's tokens.
  fileprivate var withoutTokens: FrameAttention {
    guard case .bases = summary else { return self }
    return FrameAttention(keys: keys, values: values, bias: bias, summary: .bases(nil))
  }
}

extension Tensor {
  /// Of an even number of rows, the earlier one in the middle.
  fileprivate var middleRow: Tensor {
    let middle = (shape[0] - 1) / 2
    return rows(middle..<middle + 1)
  }
}
