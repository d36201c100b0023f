import COpenBLAS

/// A matrix in someone else's memory: `rows` × `columns`, rows `stride` elements apart; read across where `transposed`.
struct Matrix<Pointer> {
    let pointer: Pointer
    let stride: Int
    var transposed = false
}

/// `result = scale · left · right + keep · result`, (rows × inner) · (inner × columns). Inside a parallel loop it runs on one thread.
func multiply(
    _ left: Matrix<UnsafePointer<Float>>, _ right: Matrix<UnsafePointer<Float>>, into result: Matrix<UnsafeMutablePointer<Float>>,
    rows: Int, inner: Int, columns: Int, scale: Float = 1, keep: Float = 0
) {
    cblas_sgemm(
        CblasRowMajor, left.transposed ? CblasTrans : CblasNoTrans, right.transposed ? CblasTrans : CblasNoTrans, blasint(rows),
        blasint(columns), blasint(inner), scale, left.pointer, blasint(left.stride), right.pointer, blasint(right.stride), keep,
        result.pointer, blasint(result.stride))
}

extension Tensor {
    /// The matrix product of (rows, inner) and (inner, columns), or of (rows, inner) and (columns, inner) where `rightTransposed`.
    public func matrixProduct(_ right: Tensor, rightTransposed: Bool = false) -> Tensor {
        precondition(
            shape.count == 2 && right.shape.count == 2 && shape[1] == right.shape[rightTransposed ? 1 : 0], "\(shape) times \(right.shape)")
        let (rows, inner, columns) = (shape[0], shape[1], right.shape[rightTransposed ? 0 : 1])
        var result = Tensor(uninitialized: [rows, columns])
        guard result.count > 0 else { return result }
        withValues { left in
            right.withValues { rightValues in
                result.withMutableValues {
                    multiply(
                        Matrix(pointer: left, stride: inner), Matrix(pointer: rightValues, stride: right.shape[1], transposed: rightTransposed),
                        into: Matrix(pointer: $0, stride: columns), rows: rows, inner: inner, columns: columns)
                }
            }
        }
        return result
    }
}
