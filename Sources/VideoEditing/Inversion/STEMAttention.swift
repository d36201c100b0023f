import EditSettings
import StableDiffusion
import Tensor

/// Self-attention in which every frame reads the bases that summarise the keys and values of all
/// frames: STEM inversion ("A Video is Worth 256 Bases", arXiv 2312.05856, as its authors' released
/// code does it).
public final class STEMAttention: UNetProcessor {
  /// The paper's settings.
  public static let defaultTemperature: Float = 0.01

  private let expectationMaximization: ExpectationMaximization
  private let noise: (_ path: String, _ shape: [Int]) throws -> Tensor
  private var drawn: [String: Tensor] = [:]

  /// - Parameter noise: standard-normal numbers of the given shape (heads, bases, head channels)
  ///   that start the bases of the self-attention with the given path, e.g.
  ///   `mid_block.attentions.0.transformer_blocks.0.attn1`; asked for once per layer, so that every
  ///   step of the inversion and of its reconstruction starts alike.
  public init(
    bases: Int, iterations: Int, temperature: Float = defaultTemperature,
    noise: @escaping (String, [Int]) throws -> Tensor
  ) {
    expectationMaximization = ExpectationMaximization(
      bases: bases, iterations: iterations, temperature: temperature)
    self.noise = noise
  }

  public convenience init(
    bases: Int, iterations: Int, temperature: Float = defaultTemperature, seed: UInt64
  ) {
    self.init(bases: bases, iterations: iterations, temperature: temperature) { path, shape in
      RandomNumbers(seed: seed, stream: "stem.noise.\(path)").normal(shape)
    }
  }

  convenience init(_ settings: EditSettings) {
    self.init(bases: settings.bases, iterations: settings.iterations, seed: settings.seed)
  }

  public func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  )
    throws -> Tensor
  {
    let tokens = hiddenStates.reshaped([
      hiddenStates.shape[0] * hiddenStates.shape[1], hiddenStates.shape[2],
    ])
    let bases = try bases(
      layer, keys: layer.toKeys(tokens), values: layer.toValues(tokens), at: site)
    return layer.attend(
      queries: layer.toQueries(hiddenStates), keys: bases.keys, values: bases.values)
  }

  /// What stands for the keys and values of a whole video in one layer.
  ///
  /// - Parameter keys, values: (n, channels), the tokens of all frames.
  /// - Returns: keys and values, (1, m, channels).
  public func bases(_ layer: AttentionLayer, keys: Tensor, values: Tensor, at site: LayerSite)
    throws -> (keys: Tensor, values: Tensor)
  {
    let bases = try expectationMaximization.bases(
      keys: keys, values: values, heads: layer.heads, noise: try startingNoise(layer, site))
    func asContext(_ bases: Tensor) -> Tensor {
      bases.reshaped([1, bases.shape[0], bases.shape[1]])
    }
    return (asContext(bases.keys), asContext(bases.values))
  }

  private func startingNoise(_ layer: AttentionLayer, _ site: LayerSite) throws -> Tensor {
    let path = "\(site.path).attn1"
    if let known = drawn[path] { return known }
    let fresh = try noise(path, [layer.heads, expectationMaximization.bases, layer.headChannels])
    drawn[path] = fresh
    return fresh
  }
}
