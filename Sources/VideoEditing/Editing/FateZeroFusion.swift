import StableDiffusion
import Tensor

/// What one step of an edit takes from the source.
struct FateZeroFusion {
  /// Whether self-attention is the source's.
  let fusesSelf: Bool
  /// How attention to the text is fused; `nil` to leave the edit's own.
  let alignment: PromptAlignment?
  /// Where the mask's words are in the source prompt, if there is a mask.
  let blended: [Range<Int>]
  let blendThreshold: Float

  /// Layers with more tokens are left alone: their maps hold too fine details to be kept.
  static let mostTokens = 32 * 32

  var readsSource: Bool { fusesSelf || alignment?.copiesFromSource == true }
}

/// What the source's frames leave for the edit of the same frames: queries and keys, from which its
/// attention to any values follows.
///
/// The authors store the maps themselves, 78 GB for 16 frames at 512² and 50 steps. Two facts make
/// that needless: a map times values is an attention with the source's queries and keys, and a mask
/// of zeros and ones only chooses between two outputs.
final class FateZeroSource: UNetProcessor {
  typealias Read = (queries: Tensor, keys: Tensor, bias: Tensor?, summary: FrameAttention.Summary)

  private let network: FateZeroNetwork
  private let fusion: FateZeroFusion
  private(set) var selfAttention: [LayerSite: Read] = [:]
  private(set) var crossAttention: [LayerSite: (queries: Tensor, keys: Tensor)] = [:]
  private(set) var mask: BlendMask?

  init(_ network: FateZeroNetwork, _ fusion: FateZeroFusion) {
    (self.network, self.fusion) = (network, fusion)
    if fusion.fusesSelf, !fusion.blended.isEmpty {
      mask = BlendMask(threshold: fusion.blendThreshold)
    }
  }

  func groupNorm(_ norm: GroupNorm, _ input: Tensor, activation: Activation?, at site: LayerSite)
    throws -> Tensor
  {
    try network.groupNorm(norm, input, activation: activation, at: site)
  }

  func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  ) throws -> Tensor {
    let queries = layer.toQueries(hiddenStates)
    let read = try network.attention(layer, hiddenStates, at: site)
    if fusion.fusesSelf, hiddenStates.shape[1] <= FateZeroFusion.mostTokens {
      selfAttention[site] = (queries, read.keys, read.bias, read.summary)
    }
    return layer.attend(
      queries: queries, keys: read.keys, values: read.values, bias: read.bias)
  }

  func crossAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, context: Tensor, grid: FeatureGrid,
    at site: LayerSite
  ) throws -> Tensor {
    let (queries, keys) = (layer.toQueries(hiddenStates), layer.toKeys(context))
    if fusion.alignment?.copiesFromSource == true,
      hiddenStates.shape[1] <= FateZeroFusion.mostTokens
    {
      crossAttention[site] = (queries, keys)
    }
    if mask != nil, BlendMask.reads(site) {
      // The probabilities of some words: an attention to values that are 1 there.
      let words = Tensor.indicator(of: fusion.blended, shape: keys.shape)
      mask?.add(
        layer.attended(queries: queries, keys: keys, values: words), heads: layer.heads, grid: grid)
    }
    return layer.attend(queries: queries, keys: keys, values: layer.toValues(context))
  }
}

/// The edit's own stream, with the source's attention in it.
final class FateZeroEdit: UNetProcessor {
  private let network: FateZeroNetwork
  private let alignment: PromptAlignment?
  private let source: FateZeroSource?

  init(_ network: FateZeroNetwork, _ fusion: FateZeroFusion, from source: FateZeroSource?) {
    (self.network, alignment, self.source) = (network, fusion.alignment, source)
  }

  func groupNorm(_ norm: GroupNorm, _ input: Tensor, activation: Activation?, at site: LayerSite)
    throws -> Tensor
  {
    try network.groupNorm(norm, input, activation: activation, at: site)
  }

  func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  ) throws -> Tensor {
    guard let source, let fused = source.selfAttention[site] else {
      return try network.selfAttention(layer, hiddenStates, grid: grid, at: site)
    }
    var output = layer.attended(
      queries: fused.queries, keys: fused.keys,
      values: network.values(layer, hiddenStates, for: fused.summary, at: site), bias: fused.bias)
    if let mask = source.mask {
      let own = try network.attention(layer, hiddenStates, at: site)
      output.replaceTokens(
        mask.tokens(of: grid),
        by: layer.attended(
          queries: layer.toQueries(hiddenStates), keys: own.keys, values: own.values,
          bias: own.bias))
    }
    return layer.toOutput(output)
  }

  func crossAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, context: Tensor, grid: FeatureGrid,
    at site: LayerSite
  ) throws -> Tensor {
    let values = layer.toValues(context)
    guard let alignment, hiddenStates.shape[1] <= FateZeroFusion.mostTokens else {
      return layer.attend(
        queries: layer.toQueries(hiddenStates), keys: layer.toKeys(context), values: values)
    }
    var output: Tensor?
    if let source = source?.crossAttention[site] {
      output = layer.attended(
        queries: source.queries, keys: source.keys, values: values.shared(by: alignment))
    }
    if alignment.keepsOwn {
      let own = layer.attended(
        queries: layer.toQueries(hiddenStates), keys: layer.toKeys(context),
        values: values.scaled(by: alignment.own))
      output = output.map { $0 + own } ?? own
    }
    guard let output else { preconditionFailure("an alignment copies or keeps something") }
    return layer.toOutput(output)
  }
}

extension Tensor {
  /// Ones in all channels of some tokens, zeros elsewhere; (1, tokens, channels).
  fileprivate static func indicator(of tokens: [Range<Int>], shape: [Int]) -> Tensor {
    let channels = shape[2]
    return Tensor(
      (0..<shape[1]).flatMap { token in
        Array(repeating: tokens.contains { $0.contains(token) } ? 1 : 0, count: channels)
      }, shape: shape)
  }

  /// The target's values, (1, tokens, channels), as the source's tokens bring them.
  fileprivate func shared(by alignment: PromptAlignment) -> Tensor {
    let channels = shape[2]
    var result = Tensor(repeating: 0, shape: shape)
    withValues { values in
      result.withMutableValues { result in
        for share in alignment.shares {
          for channel in 0..<channels {
            result[share.source * channels + channel] +=
              share.weight * values[share.target * channels + channel]
          }
        }
      }
    }
    return result
  }

  /// Each token of (1, tokens, channels) times a factor of its own.
  fileprivate func scaled(by factors: [Float]) -> Tensor {
    let channels = shape[2]
    var result = self
    result.withMutableValues { result in
      for (token, factor) in factors.enumerated() {
        for channel in 0..<channels { result[token * channels + channel] *= factor }
      }
    }
    return result
  }

  /// Takes another's tokens, (frames, n, channels), where `chosen` says so.
  fileprivate mutating func replaceTokens(_ chosen: [Bool], by other: Tensor) {
    let channels = shape[2]
    precondition(chosen.count * channels == count, "\(chosen.count) choices for \(shape)")
    other.withValues { other in
      withMutableValues { values in
        for (token, isChosen) in chosen.enumerated() where isChosen {
          (values + token * channels).update(from: other + token * channels, count: channels)
        }
      }
    }
  }
}
