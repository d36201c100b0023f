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
  private var drawn: [String: Tensor] = [:]
  private var part = ClipPart.whole
  /// What the sample left at each layer.
  private var kept: [LayerSite: Bases] = [:]

  /// What stands for the keys and values of a whole video in one layer, (1, m, channels) each.
  public typealias Bases = (keys: Tensor, values: Tensor)

  /// - Parameters:
  ///   - source: what the bases are found among: each head's keys, as the authors' released code
  ///     does it, or the layer's input, as the paper has it.
  ///   - noise: standard-normal numbers of the given shape (heads, bases, head channels) that start
  ///     the bases of the self-attention with the given path, e.g.
  ///     `mid_block.attentions.0.transformer_blocks.0.attn1`; features have one head of all
  ///     channels. Asked for once per layer, so that every step of the inversion and of its
  ///     reconstruction starts alike.
  public init(
    bases: Int, iterations: Int, temperature: Float = defaultTemperature,
    of source: BasesSource = .keys, noise: @escaping (String, [Int]) throws -> Tensor
  ) {
    expectationMaximization = ExpectationMaximization(
      bases: bases, iterations: iterations, temperature: temperature)
    (self.source, self.noise) = (source, noise)
  }

  public convenience init(
    bases: Int, iterations: Int, temperature: Float = defaultTemperature,
    of source: BasesSource = .keys, seed: UInt64
  ) {
    self.init(bases: bases, iterations: iterations, temperature: temperature, of: source) {
      path, shape in RandomNumbers(seed: seed, stream: "stem.noise.\(path)").normal(shape)
    }
  }

  convenience init(_ settings: EditSettings) {
    self.init(
      bases: settings.bases, iterations: settings.iterations,
      temperature: Float(settings.temperature), of: settings.basesOf, seed: settings.seed)
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
      queries: layer.toQueries(hiddenStates), keys: bases.keys, values: bases.values)
  }

  /// What stands for all tokens of some frames, (frames, n, channels).
  public func bases(_ layer: AttentionLayer, of hiddenStates: Tensor, at site: LayerSite) throws
    -> Bases
  {
    let channels = hiddenStates.shape[2]
    let tokens = hiddenStates.reshaped([hiddenStates.count / channels, channels])
    guard source == .features else {
      return try bases(
        layer, keys: layer.toKeys(tokens), values: layer.toValues(tokens), at: site)
    }
    let noise = try startingNoise(site, heads: 1, channels: channels)
    let features = Self.asContext(
      try expectationMaximization.bases(keys: tokens, values: tokens, heads: 1, noise: noise).keys)
    return (layer.toKeys(features), layer.toValues(features))
  }

  /// Bases found among the keys of all tokens, (n, channels), and those of the values with them.
  public func bases(_ layer: AttentionLayer, keys: Tensor, values: Tensor, at site: LayerSite)
    throws -> Bases
  {
    let bases = try expectationMaximization.bases(
      keys: keys, values: values, heads: layer.heads,
      noise: startingNoise(site, heads: layer.heads, channels: layer.headChannels))
    return (Self.asContext(bases.keys), Self.asContext(bases.values))
  }

  private static func asContext(_ bases: Tensor) -> Tensor {
    bases.reshaped([1, bases.shape[0], bases.shape[1]])
  }

  private func startingNoise(_ site: LayerSite, heads: Int, channels: Int) throws -> Tensor {
    let path = "\(site.path).attn1"
    if let known = drawn[path] { return known }
    let fresh = try noise(path, [heads, expectationMaximization.bases, channels])
    drawn[path] = fresh
    return fresh
  }
}
