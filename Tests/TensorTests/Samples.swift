import Tensor

/// Standard-normal numbers, the same at every run.
func sample(_ shape: [Int], _ name: String = "sample") -> Tensor {
  RandomNumbers(seed: 7, stream: "\(name) \(shape)").normal(shape)
}

/// ‖a − b‖ / ‖b‖
func relativeError(_ a: [Float], _ b: [Double]) -> Double {
  precondition(a.count == b.count)
  let difference = zip(a, b).reduce(0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
  return (difference / b.reduce(0) { $0 + $1 * $1 }).squareRoot()
}

/// Runs `body` with as many threads for the calling thread's operations.
func withThreads<R>(_ count: Int, _ body: () throws -> R) rethrows -> R {
  let before = Parallel.threads
  defer { Parallel.threads = before }
  Parallel.threads = count
  return try body()
}
