/// A dense array of 32-bit floats, row-major, with value semantics.
///
/// Pictures and latents are channels-last, (frames, height, width, channels), and sequences are
/// (batch, tokens, channels): a picture is a sequence of its pixels without a copy, which is what a
/// diffusion model alternates between. Copies share memory until one is changed. `rows(_:)` and
/// `reshaped(_:)` are views: they cost nothing.
///
/// Every operation on tensors is a function from values to values, also the `mutating` ones; none
/// keeps a reference to what it was given. A mismatch of shapes is a programming error and stops
/// the program; whatever comes from a user's file is checked where it is read.
public struct Tensor: @unchecked Sendable {
  public let shape: [Int]
  private(set) var storage: TensorStorage
  /// The first element's position in the storage.
  private let offset: Int

  /// The number of elements.
  public let count: Int

  /// A tensor whose elements are not yet set.
  init(uninitialized shape: [Int]) {
    let count = shape.reduce(1, *)
    self.init(shape: shape, storage: TensorStorage(count: count), offset: 0)
  }

  init(shape: [Int], storage: TensorStorage, offset: Int) {
    self.shape = shape
    self.count = shape.reduce(1, *)
    self.storage = storage
    self.offset = offset
  }

  /// A tensor of one repeated value.
  public init(repeating value: Float, shape: [Int]) {
    self.init(uninitialized: shape)
    storage.pointer.update(repeating: value, count: count)
  }

  /// - Parameter values: the elements in row-major order, as many as `shape` holds.
  public init(_ values: some Collection<Float>, shape: [Int]) {
    self.init(uninitialized: shape)
    precondition(values.count == count, "\(values.count) values do not fill the shape \(shape)")
    _ = UnsafeMutableBufferPointer(start: storage.pointer, count: count).update(
      fromContentsOf: values)
  }

  /// The elements in row-major order.
  public var values: [Float] { withValues { Array(UnsafeBufferPointer(start: $0, count: count)) } }

  /// Whether no element is infinite or not a number.
  public var isFinite: Bool {
    withValues { values in (0..<count).allSatisfy { values[$0].isFinite } }
  }

  public func withValues<R>(_ body: (UnsafePointer<Float>) throws -> R) rethrows -> R {
    try withExtendedLifetime(storage) { try body(UnsafePointer(storage.pointer + offset)) }
  }

  /// Changes the elements in place, after copying them where another tensor shares them.
  public mutating func withMutableValues<R>(_ body: (UnsafeMutablePointer<Float>) throws -> R)
    rethrows -> R
  {
    if !isKnownUniquelyReferenced(&storage) || storage.isReadOnly {
      let copy = TensorStorage(count: count)
      withValues { copy.pointer.update(from: $0, count: count) }
      self = Tensor(shape: shape, storage: copy, offset: 0)
    }
    return try withExtendedLifetime(storage) { try body(storage.pointer + offset) }
  }

  /// The same elements under another shape of as many.
  public func reshaped(_ shape: [Int]) -> Tensor {
    precondition(shape.reduce(1, *) == count, "\(self.shape) cannot be read as \(shape)")
    return Tensor(shape: shape, storage: storage, offset: offset)
  }

  /// The same elements in memory of their own, aligned as every computed tensor's is: which way a
  /// kernel takes, and so the last bit, may depend on it.
  public func copied() -> Tensor {
    var copy = Tensor(uninitialized: shape)
    withValues { source in copy.withMutableValues { $0.update(from: source, count: count) } }
    return copy
  }

  /// Gives memory that finished tensors left for later ones back to the system; between jobs, say.
  public static func releaseIdleMemory() { BufferPool.shared.empty() }

  /// Bounds how much of it is kept, to a share of what this process may have.
  ///
  /// - Parameter bytes: what it may have; `nil` where nobody says.
  public static func limitIdleMemory(of bytes: Int?) {
    BufferPool.shared.limit(to: BufferPool.share(of: bytes))
  }

  /// A range of the first dimension.
  public func rows(_ range: Range<Int>) -> Tensor {
    precondition(range.lowerBound >= 0 && range.upperBound <= shape[0], "rows \(range) of \(shape)")
    let row = shape.dropFirst().reduce(1, *)
    return Tensor(
      shape: [range.count] + shape.dropFirst(), storage: storage,
      offset: offset + range.lowerBound * row)
  }

  /// The chosen rows of the first dimension, in the order given; repeats are allowed.
  public func rows(_ indices: [Int]) -> Tensor {
    let row = shape.dropFirst().reduce(1, *)
    var result = Tensor(uninitialized: [indices.count] + shape.dropFirst())
    withValues { source in
      result.withMutableValues { target in
        for (position, index) in indices.enumerated() {
          precondition(index >= 0 && index < shape[0], "row \(index) of \(shape)")
          (target + position * row).update(from: source + index * row, count: row)
        }
      }
    }
    return result
  }

  /// The tensor repeated along the first dimension.
  public func repeated(_ times: Int) -> Tensor {
    Tensor.concatenated(Array(repeating: self, count: times))
  }

  /// A range of the last dimension.
  public func channels(_ range: Range<Int>) -> Tensor {
    let all = shape[shape.count - 1]
    precondition(range.lowerBound >= 0 && range.upperBound <= all, "channels \(range) of \(shape)")
    var result = Tensor(uninitialized: shape.dropLast() + [range.count])
    let pixels = count / max(all, 1)
    withValues { source in
      result.withMutableValues { target in
        let (source, target) = (Shared(source), Shared(target))
        Parallel.ranges(of: pixels, atLeast: 1 << 13) { pixels in
          for pixel in pixels {
            (target.pointer + pixel * range.count).update(
              from: source.pointer + pixel * all + range.lowerBound, count: range.count)
          }
        }
      }
    }
    return result
  }

  /// Tensors one after another along the first dimension.
  public static func concatenated(_ parts: [Tensor]) -> Tensor {
    precondition(!parts.isEmpty, "nothing to concatenate")
    let tail = parts[0].shape.dropFirst()
    var result = Tensor(uninitialized: [parts.reduce(0) { $0 + $1.shape[0] }] + tail)
    result.withMutableValues { target in
      var position = 0
      for part in parts {
        precondition(
          part.shape.dropFirst() == tail, "\(part.shape) does not continue \(parts[0].shape)")
        part.withValues { (target + position).update(from: $0, count: part.count) }
        position += part.count
      }
    }
    return result
  }

  /// Tensors beside each other along the last dimension, e.g. the channels of a skip connection.
  public static func concatenatedChannels(_ left: Tensor, _ right: Tensor) -> Tensor {
    precondition(
      left.shape.dropLast() == right.shape.dropLast(), "\(left.shape) beside \(right.shape)")
    let (a, b) = (left.shape[left.shape.count - 1], right.shape[right.shape.count - 1])
    var result = Tensor(uninitialized: left.shape.dropLast() + [a + b])
    let pixels = left.count / max(a, 1)
    left.withValues { left in
      right.withValues { right in
        result.withMutableValues { target in
          let (left, right, target) = (Shared(left), Shared(right), Shared(target))
          Parallel.ranges(of: pixels, atLeast: 1 << 12) { range in
            for pixel in range {
              (target.pointer + pixel * (a + b)).update(from: left.pointer + pixel * a, count: a)
              (target.pointer + pixel * (a + b) + a).update(
                from: right.pointer + pixel * b, count: b)
            }
          }
        }
      }
    }
    return result
  }
}

/// The memory behind one or more tensors: a pooled buffer of its own, or a read-only part of a
/// mapped file.
final class TensorStorage: @unchecked Sendable {
  let pointer: UnsafeMutablePointer<Float>
  private let bytes: Int
  /// Keeps a mapped file mapped.
  private let owner: AnyObject?

  var isReadOnly: Bool { owner != nil }

  init(count: Int) {
    bytes = count * MemoryLayout<Float>.stride
    pointer = BufferPool.shared.take(bytes: bytes).bindMemory(to: Float.self, capacity: count)
    owner = nil
  }

  init(readOnly pointer: UnsafePointer<Float>, owner: AnyObject) {
    self.pointer = UnsafeMutablePointer(mutating: pointer)
    bytes = 0
    self.owner = owner
  }

  func releasePages() {
    if let pages = owner as? MappedPages { pages.forget(0..<pages.count) }
  }

  deinit {
    if owner == nil { BufferPool.shared.giveBack(pointer, bytes: bytes) }
  }
}
