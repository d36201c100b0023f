extension Tensor {
  /// (n, channels, height, width), PyTorch's order, to (n, height, width, channels).
  public func channelsLast() -> Tensor {
    precondition(shape.count == 4, "\(shape) is no batch of pictures")
    return transposedPlanes(outer: shape[0], rows: shape[1], columns: shape[2] * shape[3])
      .reshaped([shape[0], shape[2], shape[3], shape[1]])
  }

  /// (n, height, width, channels) to (n, channels, height, width), PyTorch's order.
  public func channelsFirst() -> Tensor {
    precondition(shape.count == 4, "\(shape) is no batch of pictures")
    return transposedPlanes(outer: shape[0], rows: shape[1] * shape[2], columns: shape[3])
      .reshaped([shape[0], shape[3], shape[1], shape[2]])
  }

  private func transposedPlanes(outer: Int, rows: Int, columns: Int) -> Tensor {
    var result = Tensor(uninitialized: [outer, columns, rows])
    withValues { source in
      result.withMutableValues { target in
        for plane in 0..<outer {
          let (from, to) = (source + plane * rows * columns, target + plane * rows * columns)
          for row in 0..<rows {
            for column in 0..<columns { to[column * rows + row] = from[row * columns + column] }
          }
        }
      }
    }
    return result
  }
}
