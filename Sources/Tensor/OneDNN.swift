import COneDNN
import Synchronization

/// The few things that all uses of oneDNN share: the engine, memory descriptions, and compiled
/// primitives kept by what they compute.
enum OneDNN {
  nonisolated(unsafe) static let engine: dnnl_engine_t = {
    var engine: dnnl_engine_t?
    check(dnnl_engine_create(&engine, dnnl_cpu, 0), "create an engine")
    return unwrapped(engine)
  }()

  /// oneDNN always has a reference implementation for 32-bit floats, so a failure is a wrong
  /// description or no memory.
  static func check(_ status: dnnl_status_t, _ action: @autoclosure () -> String) {
    precondition(
      status == dnnl_success,
      "oneDNN could not \(action()): \(String(cString: dnnl_status2str(status)))")
  }

  static func unwrapped<T>(_ value: T?) -> T {
    guard let value else { preconditionFailure("oneDNN reported success without a result") }
    return value
  }

  /// A dense description in the order of `shape`, or with the given strides (in elements).
  static func memory(
    _ shape: [Int], strides: [Int]? = nil, type: dnnl_data_type_t = dnnl_f32
  ) -> dnnl_memory_desc_t {
    var description = dnnl_memory_desc_t()
    let strides = strides ?? denseStrides(shape)
    check(
      dnnl_memory_desc_init_by_strides(
        &description, Int32(shape.count), shape.map(Int64.init), type, strides.map(Int64.init)),
      "describe \(shape)")
    return description
  }

  /// A description whose layout oneDNN may choose.
  static func anyLayout(_ shape: [Int], type: dnnl_data_type_t = dnnl_f32) -> dnnl_memory_desc_t {
    var description = dnnl_memory_desc_t()
    check(
      dnnl_memory_desc_init_by_tag(
        &description, Int32(shape.count), shape.map(Int64.init), type, dnnl_format_tag_any),
      "describe \(shape)")
    return description
  }

  static func denseStrides(_ shape: [Int]) -> [Int] {
    var strides = Array(repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    return strides
  }

  /// A primitive divides its work, and sizes its scratch memory, for the threads at its making.
  private struct Compiled: Hashable {
    let operation: OneDNNOperation
    let threads: Int
  }

  private static let compiled = Mutex<[Compiled: OneDNNPrimitive]>([:])
  /// A few dozen picture sizes' worth; a worker that sees more begins anew rather than grow for
  /// ever.
  private static let mostCompiled = 8192

  /// The primitive for an operation, compiled at its first use.
  ///
  /// - Parameter onOneThread: for use inside a parallel loop.
  static func primitive(
    _ operation: OneDNNOperation, onOneThread: Bool = false, compile: () -> OneDNNPrimitive
  ) -> OneDNNPrimitive {
    let key = Compiled(operation: operation, threads: onOneThread ? 1 : Parallel.threads)
    if let found = compiled.withLock({ $0[key] }) { return found }
    let made = onOneThread ? Parallel.asOneThread(compile) : compile()
    compiled.withLock { compiled in
      if compiled.count >= mostCompiled { compiled.removeAll() }
      compiled[key] = made
    }
    return made
  }
}

/// What a primitive computes, down to the last dimension.
enum OneDNNOperation: Hashable {
  case convolution(ConvolutionGeometry)
  case linear(LinearGeometry)
  case softmax(rows: Int, columns: Int)
  case activation(Activation, count: Int)
}

/// A compiled primitive. It may run on several threads at once: its scratch memory belongs to the
/// call.
final class OneDNNPrimitive: @unchecked Sendable {
  typealias Argument = (index: Int32, memory: UnsafeMutableRawPointer)

  private let handle: dnnl_primitive_t
  private let description: dnnl_primitive_desc_t
  private let scratchBytes: Int

  /// - Parameters:
  ///   - operation: a pointer to one of oneDNN's operation descriptions.
  ///   - adds: whether the result is added to what is at its place.
  init(_ operation: UnsafeRawPointer, name: String, adds: Bool = false) {
    var attributes: dnnl_primitive_attr_t?
    OneDNN.check(dnnl_primitive_attr_create(&attributes), "create attributes")
    OneDNN.check(
      dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user),
      "set attributes")
    if adds {
      var after: dnnl_post_ops_t?
      OneDNN.check(dnnl_post_ops_create(&after), "create attributes")
      defer { dnnl_post_ops_destroy(after) }
      OneDNN.check(dnnl_post_ops_append_sum(after, 1), "set attributes")
      OneDNN.check(dnnl_primitive_attr_set_post_ops(attributes, after), "set attributes")
    }
    defer { dnnl_primitive_attr_destroy(attributes) }
    var description: dnnl_primitive_desc_t?
    OneDNN.check(
      dnnl_primitive_desc_create(&description, operation, attributes, OneDNN.engine, nil),
      "describe a \(name)")
    self.description = OneDNN.unwrapped(description)
    var handle: dnnl_primitive_t?
    OneDNN.check(dnnl_primitive_create(&handle, description), "compile a \(name)")
    self.handle = OneDNN.unwrapped(handle)
    scratchBytes = dnnl_memory_desc_get_size(
      dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0))
  }

  /// A copy from one layout to another.
  init(reorderFrom source: dnnl_memory_desc_t, to target: dnnl_memory_desc_t) {
    var (source, target) = (source, target)
    var description: dnnl_primitive_desc_t?
    OneDNN.check(
      dnnl_reorder_primitive_desc_create(
        &description, &source, OneDNN.engine, &target, OneDNN.engine, nil), "describe a reorder")
    self.description = OneDNN.unwrapped(description)
    var handle: dnnl_primitive_t?
    OneDNN.check(dnnl_primitive_create(&handle, description), "compile a reorder")
    self.handle = OneDNN.unwrapped(handle)
    scratchBytes = 0
  }

  deinit {
    dnnl_primitive_destroy(handle)
    dnnl_primitive_desc_destroy(description)
  }

  /// The layout that the primitive wants for its weights.
  var weights: WeightsLayout {
    WeightsLayout(
      description: OneDNN.unwrapped(
        dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0)
      ).pointee)
  }

  func run(_ arguments: [Argument]) {
    var stream: dnnl_stream_t?
    OneDNN.check(
      dnnl_stream_create(&stream, OneDNN.engine, UInt32(dnnl_stream_default_flags.rawValue)),
      "create a stream")
    defer { dnnl_stream_destroy(stream) }
    var all = arguments
    let scratch = scratchBytes > 0 ? BufferPool.shared.take(bytes: scratchBytes) : nil
    defer { if let scratch { BufferPool.shared.giveBack(scratch, bytes: scratchBytes) } }
    if let scratch { all.append((DNNL_ARG_SCRATCHPAD, scratch)) }
    let prepared = all.map { argument in
      let layout = dnnl_primitive_desc_query_md(description, dnnl_query_exec_arg_md, argument.index)
      var memory: dnnl_memory_t?
      OneDNN.check(
        dnnl_memory_create(&memory, layout, OneDNN.engine, argument.memory), "wrap a buffer")
      return dnnl_exec_arg_t(arg: argument.index, memory: memory)
    }
    defer { for argument in prepared { dnnl_memory_destroy(argument.memory) } }
    OneDNN.check(
      dnnl_primitive_execute(handle, stream, Int32(prepared.count), prepared), "run a primitive")
    OneDNN.check(dnnl_stream_wait(stream), "finish a primitive")
  }
}

extension UnsafePointer {
  /// oneDNN takes its inputs by mutable pointers, too.
  var forOneDNN: UnsafeMutableRawPointer { UnsafeMutableRawPointer(mutating: self) }
}
