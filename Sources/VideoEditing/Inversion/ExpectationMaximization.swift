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
  ///   - noise: (heads, m, c), standard normal.
  /// - Returns: bases of keys and values, (m, heads · c). Where there are no more tokens than
  ///   bases, the tokens themselves: EM would leave bases empty, and attention gives an empty base
  ///   the weight e⁰.
  public func bases(keys: Tensor, values: Tensor, heads: Int, noise: Tensor) throws -> (
    keys: Tensor, values: Tensor
  ) {
    let (n, width) = (keys.shape[0], keys.shape[1])
    guard n > bases else { return (keys, values) }
    let c = width / heads
    precondition(
      keys.shape == values.shape && noise.shape == [heads, bases, c],
      "EM of \(keys.shape) with noise \(noise.shape)")
    var means = start(keys, heads: heads, noise: noise)
    for iteration in 1...iterations {
      let last = iteration == iterations
      let sums = pass(keys: keys, values: last ? values : nil, heads: heads, bases: means)
      means = weighted(sums.keys, by: sums.weights, heads: heads)
      if last, let values = sums.values {
        return (means, weighted(values, by: sums.weights, heads: heads))
      }
    }
    preconditionFailure("unreachable: the last iteration returns")
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

  private struct Sums {
    /// Σ z over the tokens, (heads, m).
    let weights: Tensor
    /// zᵀ k and zᵀ v, (m, heads · c).
    let keys: Tensor
    let values: Tensor?
  }

  /// One E step, and the sums that the M step divides.
  private func pass(keys: Tensor, values: Tensor?, heads: Int, bases means: Tensor) -> Sums {
    let (c, m) = (keys.shape[1] / heads, bases)
    let unit = means.dividedByNorms(ofGroups: c, epsilon: 1e-4)
    let (weights, sums) = keys.softAssignmentSums(
      to: unit, heads: heads, temperature: temperature,
      summing: values.map { [keys, $0] } ?? [keys])
    precondition(weights.shape == [heads, m], "one weight per head and base")
    return Sums(weights: weights, keys: sums[0], values: sums.count > 1 ? sums[1] : nil)
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
