import Tensor

/// Expectation maximisation over a video's tokens: m bases that stand for the keys of an attention
/// layer, and the values that go with them.
///
/// The released code of STEM inversion, per head with keys k (n × c) and bases μ (m × c):
/// - start: μ = mean + std · ε over the tokens, per channel (the unbiased deviation);
/// - E: z = softmax over the bases of ⟨k, μ / (‖μ‖ + 1e-4)⟩ / τ; keys are not normalised;
/// - M: z' = z / (Σ over the tokens of z + 1e-4), μ = z'ᵀ k;
/// - after the last M: ν = z'ᵀ v.
///
/// E and M are one pass over tiles of tokens: z is never stored whole.
public struct ExpectationMaximization: Sendable {
  public let bases: Int
  public let iterations: Int
  public let temperature: Float

  public init(bases: Int, iterations: Int, temperature: Float) {
    precondition(
      bases > 0 && iterations > 0 && temperature > 0,
      "EM needs bases, iterations and a positive temperature")
    (self.bases, self.iterations, self.temperature) = (bases, iterations, temperature)
  }

  /// - Parameters:
  ///   - keys, values: (n, heads · c).
  ///   - noise: (heads, m, c), standard normal; not asked for where EM does not run.
  /// - Returns: bases of keys and values, (m, heads · c). Where there are no more tokens than
  ///   bases, the tokens themselves: EM would leave bases empty, and attention gives an empty base
  ///   the weight e⁰.
  public func bases(
    keys: Tensor, values: Tensor, heads: Int, noise: @autoclosure () throws -> Tensor
  ) rethrows -> (keys: Tensor, values: Tensor) {
    precondition(keys.shape == values.shape, "EM of \(keys.shape) and \(values.shape)")
    let means = try assignment(of: keys, heads: heads, noise: noise()).means(of: [keys, values])
    return (means[0], means[1])
  }

  /// Which base each token counts to after the last E step.
  ///
  /// - Parameters:
  ///   - keys: (n, heads · c).
  ///   - noise: (heads, m, c), standard normal; not asked for where EM does not run.
  func assignment(of keys: Tensor, heads: Int, noise: @autoclosure () throws -> Tensor) rethrows
    -> Assignment
  {
    guard keys.shape[0] > bases else {
      return Assignment(of: self, keys: keys, heads: heads, bases: nil)
    }
    let noise = try noise()
    precondition(
      noise.shape == [heads, bases, keys.shape[1] / heads],
      "EM of \(keys.shape) with noise \(noise.shape)")
    var means = start(keys, heads: heads, noise: noise)
    for _ in 1..<iterations {
      let sums = pass(keys: keys, summing: [keys], heads: heads, bases: means)
      means = weighted(sums.sums[0], by: sums.weights, heads: heads)
    }
    return Assignment(of: self, keys: keys, heads: heads, bases: means)
  }

  /// How far each token counts to each base (the last z), kept as what it follows from.
  struct Assignment {
    /// (n, heads · c).
    let tokens: Tensor
    private let method: ExpectationMaximization
    private let heads: Int
    /// `nil` where the tokens themselves are the bases.
    private let bases: Tensor?

    fileprivate init(
      of method: ExpectationMaximization, keys: Tensor, heads: Int, bases: Tensor?
    ) {
      (self.method, tokens, self.heads, self.bases) = (method, keys, heads, bases)
    }

    /// What the bases stand for of anything that the same tokens have.
    ///
    /// - Parameter features: matrices (n, heads · c).
    /// - Returns: z'ᵀ of each, (m, heads · c).
    func means(of features: [Tensor]) -> [Tensor] { weighedMeans(of: features).means }

    /// The same, and how many tokens each base stands for, Σ z, (heads, m); `nil` where the tokens
    /// themselves are the bases.
    func weighedMeans(of features: [Tensor]) -> (means: [Tensor], weights: Tensor?) {
      guard let bases else { return (features, nil) }
      let sums = method.pass(keys: tokens, summing: features, heads: heads, bases: bases)
      return (
        sums.sums.map { method.weighted($0, by: sums.weights, heads: heads) }, sums.weights
      )
    }
  }

  /// mean + std · ε for each channel, laid out as (m, heads · c).
  private func start(_ keys: Tensor, heads: Int, noise: Tensor) -> Tensor {
    let (mean, deviation) = keys.columnStatistics()
    let c = keys.shape[1] / heads
    let noise = noise.values
    return Tensor(
      (0..<bases).flatMap { base in
        (0..<heads * c).map { column in
          mean[column] + deviation[column] * noise[(column / c * bases + base) * c + column % c]
        }
      }, shape: [bases, heads * c])
  }

  /// One E step, and the sums that the M step divides.
  ///
  /// - Returns: Σ z over the tokens, (heads, m), and zᵀ of each summand, (m, heads · c).
  private func pass(keys: Tensor, summing summands: [Tensor], heads: Int, bases means: Tensor) -> (
    weights: Tensor, sums: [Tensor]
  ) {
    let unit = means.dividedByNorms(ofGroups: keys.shape[1] / heads, epsilon: 1e-4)
    let (weights, sums) = keys.softAssignmentSums(
      to: unit, heads: heads, temperature: temperature, summing: summands)
    precondition(weights.shape == [heads, bases], "one weight per head and base")
    return (weights, sums)
  }

  private func weighted(_ sums: Tensor, by weights: Tensor, heads: Int) -> Tensor {
    let c = sums.shape[1] / heads
    let weights = weights.values
    let m = bases
    var result = sums
    result.withMutableValues { values in
      for base in 0..<m {
        for column in 0..<heads * c {
          values[base * heads * c + column] /= weights[column / c * m + base] + 1e-4
        }
      }
    }
    return result
  }
}
