extension Tensor {
  /// Adds a tensor of the same shape, or one that repeats along the leading dimensions.
  public mutating func add(_ other: Tensor) { combine(other) { $0 + $1 } }

  public static func + (left: Tensor, right: Tensor) -> Tensor {
    var result = left
    result.add(right)
    return result
  }

  public static func - (left: Tensor, right: Tensor) -> Tensor {
    var result = left
    result.combine(right) { $0 - $1 }
    return result
  }

  public static func * (left: Tensor, factor: Float) -> Tensor { left.mapped { $0 * factor } }

  /// `a · self + b · other`, in one pass.
  public func blended(_ a: Float, with other: Tensor, _ b: Float) -> Tensor {
    var result = self
    result.combine(other) { a * $0 + b * $1 }
    return result
  }

  /// Adds one vector of channels to every pixel of each row: (n, …, channels) and (n or 1,
  /// channels).
  public mutating func addChannels(_ vectors: Tensor) {
    let channels = shape[shape.count - 1]
    precondition(
      vectors.shape.last == channels
        && (vectors.count == channels || vectors.count == shape[0] * channels),
      "\(vectors.shape) onto \(shape)")
    let pixels = count / max(shape[0] * channels, 1)
    let step = vectors.count == channels ? 0 : channels
    let n = shape[0]
    vectors.withValues { vectors in
      withMutableValues { values in
        let (vectors, values) = (Shared(vectors), Shared(values))
        Parallel.ranges(of: n * pixels, atLeast: 1 << 10) { range in
          for pixel in range {
            let (to, from) = (
              values.pointer + pixel * channels, vectors.pointer + pixel / pixels * step
            )
            for channel in 0..<channels { to[channel] += from[channel] }
          }
        }
      }
    }
  }

  public func mapped(_ transform: (Float) -> Float) -> Tensor {
    var result = self
    let count = count
    result.withMutableValues { values in
      for index in 0..<count { values[index] = transform(values[index]) }
    }
    return result
  }

  @inline(__always)
  private mutating func combine(_ other: Tensor, _ operation: (Float, Float) -> Float) {
    precondition(
      other.count > 0 && count % other.count == 0
        && shape.suffix(other.shape.count) == other.shape[...], "\(shape) with \(other.shape)")
    let (count, period) = (count, other.count)
    other.withValues { other in
      withMutableValues { values in
        if period == count {
          let (values, other) = (Shared(values), Shared(other))
          Parallel.ranges(of: count, atLeast: 1 << 15) { range in
            for index in range {
              values.pointer[index] = operation(values.pointer[index], other.pointer[index])
            }
          }
        } else {
          for start in stride(from: 0, to: count, by: period) {
            for index in 0..<period {
              values[start + index] = operation(values[start + index], other[index])
            }
          }
        }
      }
    }
  }
}
