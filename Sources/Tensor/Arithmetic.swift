extension Tensor {
  /// Adds a tensor of the same shape, or one that repeats along the leading dimensions.
  public mutating func add(_ other: Tensor) { self = combined(other) { $0 + $1 } }

  public static func + (left: Tensor, right: Tensor) -> Tensor { left.combined(right) { $0 + $1 } }

  public static func - (left: Tensor, right: Tensor) -> Tensor { left.combined(right) { $0 - $1 } }

  public static func * (left: Tensor, factor: Float) -> Tensor { left.mapped { $0 * factor } }

  /// `a · self + b · other`, in one pass.
  public func blended(_ a: Float, with other: Tensor, _ b: Float) -> Tensor {
    combined(other) { a * $0 + b * $1 }
  }

  public func mapped(_ transform: (Float) -> Float) -> Tensor {
    var result = self
    let count = count
    result.withMutableValues { values in
      for index in 0..<count { values[index] = transform(values[index]) }
    }
    return result
  }

  /// Into new memory: a tensor that is changed in place is nearly always shared, and copied first.
  @inline(__always)
  private func combined(_ other: Tensor, _ operation: (Float, Float) -> Float) -> Tensor {
    precondition(
      other.count > 0 && count % other.count == 0
        && shape.suffix(other.shape.count) == other.shape[...], "\(shape) with \(other.shape)")
    let (count, period) = (count, other.count)
    var result = Tensor(uninitialized: shape)
    withValues { values in
      other.withValues { other in
        result.withMutableValues { result in
          if period == count {
            let (values, other, result) = (Shared(values), Shared(other), Shared(result))
            Parallel.ranges(of: count, atLeast: 1 << 15) { range in
              for index in range {
                result.pointer[index] = operation(values.pointer[index], other.pointer[index])
              }
            }
          } else {
            for start in stride(from: 0, to: count, by: period) {
              for index in 0..<period {
                result[start + index] = operation(values[start + index], other[index])
              }
            }
          }
        }
      }
    }
    return result
  }
}
