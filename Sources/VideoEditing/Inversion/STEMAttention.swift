import EditSettings
import StableDiffusion
import Tensor

/// Self-attention in which every frame reads the bases that summarise the keys and values of all
/// frames: STEM inversion ("A Video is Worth 256 Bases", arXiv 2312.05856).
///
/// Of a long clip, the bases summarise an even sample of the frames, and all others read them.
public final class STEMAttention: ClipProcessor {
  /// The paper's settings.
  public static let defaultTemperature: Float = 0.01

  private let expectationMaximization: ExpectationMaximization
  private let noise: (_ path: String, _ shape: [Int]) throws -> Tensor
  private let source: BasesSource
  private let emptyBases: EmptyBases
  private var drawn: [String: Tensor] = [:]
  private var part = ClipPart.whole
  /// What the sample left at each layer.
  private var kept: [LayerSite: Bases] = [:]

  /// What stands for the keys and values of a whole video in one layer, (1, m, channels) each, and
  /// what is added to their scores, (heads, m); `nil` for nothing.
  public typealias Bases = (keys: Tensor, values: Tensor, bias: Tensor?)

  /// Of fewer tokens a base is empty.
  private static let leastTokens: Float = 1e-3

  /// - Parameters:
  ///   - source: what the bases are found among: each head's keys, as the authors' released code
  ///     does it, or the layer's input, as the paper has it.
  ///   - noise: standard-normal numbers of the given shape (heads, bases, head channels) that start
  ///     the bases of the self-attention with the given path, e.g.
  ///     `mid_block.attentions.0.transformer_blocks.0.attn1`; features have one head of all
  ///     channels. Asked for once per layer that has more tokens than bases, so that every step of
  ///     the inversion and of its reconstruction starts alike.
  public init(
    bases: Int, iterations: Int, temperature: Float = defaultTemperature,
    of source: BasesSource = .keys, emptyBases: EmptyBases = .attended,
    noise: @escaping (String, [Int]) throws -> Tensor
  ) {
    expectationMaximization = ExpectationMaximization(
      bases: bases, iterations: iterations, temperature: temperature)
    (self.source, self.emptyBases, self.noise) = (source, emptyBases, noise)
  }

  public convenience init(
    bases: Int, iterations: Int, temperature: Float = defaultTemperature,
    of source: BasesSource = .keys, emptyBases: EmptyBases = .attended, seed: UInt64
  ) {
    self.init(
      bases: bases, iterations: iterations, temperature: temperature, of: source,
      emptyBases: emptyBases
    ) {
      path, shape in RandomNumbers(seed: seed, stream: "stem.noise.\(path)").normal(shape)
    }
  }

  convenience init(_ settings: EditSettings) {
    self.init(
      bases: settings.bases, iterations: settings.iterations,
      temperature: Float(settings.temperature), of: settings.basesOf,
      emptyBases: settings.emptyBases, seed: settings.seed)
  }

  public var reach: FrameReach { .sample }

  public func enter(_ part: ClipPart) { self.part = part }

  public func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  )
    throws -> Tensor
  {
    let bases: Bases
    if part == .group, let known = kept[site] {
      bases = known
    } else {
      bases = try self.bases(layer, of: hiddenStates, at: site)
      if part == .sample { kept[site] = bases }
    }
    return layer.attend(
      queries: layer.toQueries(hiddenStates), keys: bases.keys, values: bases.values,
      bias: bases.bias)
  }

  /// What stands for all tokens of some frames, (frames, n, channels).
  public func bases(_ layer: AttentionLayer, of hiddenStates: Tensor, at site: LayerSite) throws
    -> Bases
  {
    try summary(layer, of: hiddenStates, at: site).bases(layer, of: hiddenStates)
  }

  /// Which base each token of some frames, (frames, n, channels), counts to.
  func summary(_ layer: AttentionLayer, of hiddenStates: Tensor, at site: LayerSite) throws
    -> Summary
  {
    let tokens = hiddenStates.asTokens
    let heads = source == .keys ? layer.heads : 1
    let found = source == .keys ? layer.toKeys(tokens) : tokens
    return Summary(
      assignment: try expectationMaximization.assignment(
        of: found, heads: heads,
        noise: startingNoise(site, heads: heads, channels: found.shape[1] / heads)),
      source: source, emptyBases: emptyBases)
  }

  /// How the tokens of some frames count to bases: what these stand for of anything that as many
  /// tokens have.
  struct Summary {
    fileprivate let assignment: ExpectationMaximization.Assignment
    fileprivate let source: BasesSource
    fileprivate let emptyBases: EmptyBases

    /// The bases of the frames that the summary was made of.
    func bases(_ layer: AttentionLayer, of hiddenStates: Tensor) -> Bases {
      switch source {
      case .keys:
        let (means, weights) = assignment.weighedMeans(
          of: [assignment.tokens, layer.toValues(hiddenStates.asTokens)])
        return (means[0].asContext, means[1].asContext, bias(weights, heads: layer.heads))
      case .features:
        let (means, weights) = assignment.weighedMeans(of: [assignment.tokens])
        let features = means[0].asContext
        return (
          layer.toKeys(features), layer.toValues(features), bias(weights, heads: layer.heads)
        )
      }
    }

    /// - Parameter weights: (heads or 1, m).
    private func bias(_ weights: Tensor?, heads: Int) -> Tensor? {
      guard emptyBases == .masked, let weights else { return nil }
      let rows = weights.mapped { $0 < STEMAttention.leastTokens ? -1e30 : 0 }
      guard rows.shape[0] < heads else { return rows }
      return Tensor.concatenated(Array(repeating: rows, count: heads))
    }

    /// What the bases stand for of the values of as many other frames, (1, m, channels).
    func values(_ layer: AttentionLayer, of hiddenStates: Tensor) -> Tensor {
      let tokens = hiddenStates.asTokens
      switch source {
      case .keys: return assignment.means(of: [layer.toValues(tokens)])[0].asContext
      case .features: return layer.toValues(assignment.means(of: [tokens])[0].asContext)
      }
    }
  }

  /// Bases found among the keys of all tokens, (n, channels), and those of the values with them.
  public func bases(_ layer: AttentionLayer, keys: Tensor, values: Tensor, at site: LayerSite)
    throws -> Bases
  {
    let bases = try expectationMaximization.bases(
      keys: keys, values: values, heads: layer.heads,
      noise: startingNoise(site, heads: layer.heads, channels: layer.headChannels))
    return (bases.keys.asContext, bases.values.asContext, nil)
  }

  private func startingNoise(_ site: LayerSite, heads: Int, channels: Int) throws -> Tensor {
    let path = "\(site.path).attn1"
    if let known = drawn[path] { return known }
    let fresh = try noise(path, [heads, expectationMaximization.bases, channels])
    drawn[path] = fresh
    return fresh
  }
}

extension Tensor {
  /// (frames, n, channels) as the tokens of one video, (frames · n, channels).
  fileprivate var asTokens: Tensor { reshaped([shape[0] * shape[1], shape[2]]) }

  /// (m, channels) as (1, m, channels).
  fileprivate var asContext: Tensor { reshaped([1] + shape) }
}
