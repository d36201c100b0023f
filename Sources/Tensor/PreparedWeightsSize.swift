import Foundation

/// Counts what prepared weights would take, and prepares none: what it gives must not be read.
public final class PreparedWeightsSize: PreparedWeightsStore {
  public private(set) var bytes = 0

  public init() {}

  public func prepared(_ name: String, shape: [Int], make: () throws -> Tensor) throws -> Tensor {
    let count = shape.reduce(1, *) * MemoryLayout<Float>.stride
    bytes += count
    // Addresses without memory behind them: to read there would be a mistake, and shows at once.
    guard let region = mmap(nil, max(count, 1), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      region != MAP_FAILED
    else { throw WeightsError("\(name): there are no addresses left for \(count) bytes") }
    let reserved = ReservedRegion(bytes: UnsafeRawPointer(region), count: max(count, 1))
    return Tensor(
      shape: shape,
      storage: TensorStorage(
        readOnly: reserved.bytes.assumingMemoryBound(to: Float.self), owner: reserved), offset: 0)
  }
}

private final class ReservedRegion: FileContents, @unchecked Sendable {
  deinit { munmap(UnsafeMutableRawPointer(mutating: bytes), count) }
}
