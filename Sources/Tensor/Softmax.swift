import COneDNN

extension Tensor {
  /// The softmax over the last dimension.
  public func softmax() -> Tensor {
    var result = self
    let columns = shape.last ?? 1
    let rows = count / max(columns, 1)
    result.withMutableValues { values in
      guard rows > 0 else { return }
      SoftmaxKernel(rows: rows, columns: columns).apply(to: values)
    }
    return result
  }
}

/// Softmax over each row of a dense matrix, in place. Compiled once per shape; usable inside
/// parallel loops.
struct SoftmaxKernel {
  private let primitive: OneDNNPrimitive

  init(rows: Int, columns: Int) {
    primitive = OneDNN.primitive(.softmax(rows: rows, columns: columns)) {
      var matrix = OneDNN.memory([rows, columns])
      var operation = dnnl_softmax_desc_t()
      OneDNN.check(
        dnnl_softmax_forward_desc_init(&operation, dnnl_forward_inference, &matrix, 1),
        "describe a softmax")
      return OneDNNPrimitive(&operation, name: "softmax")
    }
  }

  func apply(to values: UnsafeMutablePointer<Float>) {
    primitive.run([
      (DNNL_ARG_SRC, UnsafeMutableRawPointer(values)),
      (DNNL_ARG_DST, UnsafeMutableRawPointer(values)),
    ])
  }
}
