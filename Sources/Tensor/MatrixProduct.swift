import COneDNN

#if !arch(x86_64)
  import COpenBLAS
#endif

/// A matrix in someone else's memory: `rows` × `columns`, rows `stride` elements apart; read across
/// where `transposed`.
struct Matrix<Pointer> {
  let pointer: Pointer
  let stride: Int
  var transposed = false
}

/// `result = scale · left · right + keep · result`, (rows × inner) · (inner × columns). Inside a
/// parallel loop it runs on one thread.
func multiply(
  _ left: Matrix<UnsafePointer<Float>>, _ right: Matrix<UnsafePointer<Float>>,
  into result: Matrix<UnsafeMutablePointer<Float>>,
  rows: Int, inner: Int, columns: Int, scale: Float = 1, keep: Float = 0
) {
  #if arch(x86_64)
    // oneDNN's kernels are the faster ones for the narrow matrices of attention heads, by half and
    // more, and add up each product in the order of `inner`, as PyTorch's do: where a softmax shows
    // the last bit, the two then agree.
    let status = dnnl_sgemm(
      left.transposed ? CChar(UInt8(ascii: "T")) : CChar(UInt8(ascii: "N")),
      right.transposed ? CChar(UInt8(ascii: "T")) : CChar(UInt8(ascii: "N")), Int64(rows),
      Int64(columns),
      Int64(inner), scale, left.pointer, Int64(left.stride), right.pointer, Int64(right.stride),
      keep, result.pointer, Int64(result.stride))
    OneDNN.check(status, "multiply matrices")
  #else
    cblas_sgemm(
      CblasRowMajor, left.transposed ? CblasTrans : CblasNoTrans,
      right.transposed ? CblasTrans : CblasNoTrans, blasint(rows),
      blasint(columns), blasint(inner), scale, left.pointer, blasint(left.stride), right.pointer,
      blasint(right.stride), keep,
      result.pointer, blasint(result.stride))
  #endif
}

extension Tensor {
  /// The matrix product of (rows, inner) and (inner, columns), or of (rows, inner) and (columns,
  /// inner) where `rightTransposed`.
  public func matrixProduct(_ right: Tensor, rightTransposed: Bool = false) -> Tensor {
    precondition(
      shape.count == 2 && right.shape.count == 2
        && shape[1] == right.shape[rightTransposed ? 1 : 0], "\(shape) times \(right.shape)")
    let (rows, inner, columns) = (shape[0], shape[1], right.shape[rightTransposed ? 0 : 1])
    var result = Tensor(uninitialized: [rows, columns])
    guard result.count > 0 else { return result }
    withValues { left in
      right.withValues { rightValues in
        result.withMutableValues {
          multiply(
            Matrix(pointer: left, stride: inner),
            Matrix(pointer: rightValues, stride: right.shape[1], transposed: rightTransposed),
            into: Matrix(pointer: $0, stride: columns), rows: rows, inner: inner, columns: columns)
        }
      }
    }
    return result
  }
}
