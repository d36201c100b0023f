import Tensor

/// The projections of one attention: what an attention processor has to work with.
public struct AttentionLayer: Sendable {
  public let heads: Int
  public let toQueries, toKeys, toValues, toOutput: Linear
  private let precision: Precision

  /// - Parameters: channels of the hidden states and of the context that keys and values are made
  ///   from.
  init(_ weights: Weights, channels: Int, contextChannels: Int, heads: Int) throws {
    guard channels % heads == 0 else {
      throw ModelError(
        "\(weights.place): 'attention_head_dim' asks for \(heads) heads, which do not divide \(channels) channels"
      )
    }
    self.heads = heads
    precision = weights.precision
    toQueries = try weights.linear("to_q", channels, channels, bias: false)
    toKeys = try weights.linear("to_k", contextChannels, channels, bias: false)
    toValues = try weights.linear("to_v", contextChannels, channels, bias: false)
    toOutput = try weights.linear("to_out.0", channels, channels)
  }

  /// The size of one head.
  public var headChannels: Int { toQueries.outputs / heads }

  /// Attends, merges the heads and projects.
  ///
  /// - Parameters: as of `attended`.
  /// - Returns: (batch, n, channels).
  public func attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor? = nil) -> Tensor {
    toOutput(attended(queries: queries, keys: keys, values: values, bias: bias))
  }

  /// Attends and merges the heads: what is still to be projected.
  ///
  /// - Parameters:
  ///   - queries: (batch, n, channels).
  ///   - keys, values: (rows, m, channels), where `rows` divides the batch; each serves as many
  ///     consecutive rows of the queries.
  ///   - bias: (heads, m), is added to the scores of each key.
  /// - Returns: (batch, n, channels).
  public func attended(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor? = nil)
    -> Tensor
  {
    let (batch, n, channels) = (queries.shape[0], queries.shape[1], queries.shape[2])
    let rows = keys.shape[0]
    precondition(batch % rows == 0, "\(rows) contexts for a batch of \(batch)")
    // Rows that share their keys are one longer row of queries.
    return Tensor.attention(
      queries: queries.reshaped([rows, batch / rows * n, channels]), keys: keys, values: values,
      heads: heads, bias: bias, precision: precision
    ).reshaped(queries.shape)
  }
}
