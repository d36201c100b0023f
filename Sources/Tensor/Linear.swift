import CKernels
import COneDNN

/// A fully connected layer: `y = x Wᵀ + b` over the last dimension.
public final class Linear: Sendable {
  public let inputs, outputs: Int
  public let bias: Tensor?
  let precision: Precision
  private let weights: PreparedWeights

  /// - Parameters:
  ///   - weight: (outputs, inputs), or a 1×1 convolution's (outputs, inputs, 1, 1), which is the
  ///     same on channels-last pictures.
  ///   - bias: (outputs).
  public convenience init(weight: Tensor, bias: Tensor?, precision: Precision = .full) {
    precondition(weight.count == weight.shape[0] * weight.shape[1], "\(weight.shape) is no matrix")
    let form = Form(inputs: weight.shape[1], outputs: weight.shape[0], precision: precision)
    self.init(form, weights: PreparedWeights { form.prepare(weight) }, bias: bias)
  }

  /// - Parameters:
  ///   - weights: in the form that is given.
  ///   - bias: (outputs).
  public init(_ form: Form, weights: PreparedWeights, bias: Tensor?) {
    (inputs, outputs, precision) = (form.inputs, form.outputs, form.precision)
    self.weights = weights
    self.bias = bias
  }

  /// In which form a layer keeps its weights: as oneDNN's products of many rows read them, in bf16
  /// for mixed precision.
  public struct Form: Sendable {
    let inputs, outputs: Int
    let precision: Precision
    /// What oneDNN would choose for a matrix product of many rows by one thread. For some processors
    /// its choice goes by the number of threads (AMX's blocking does), but the weights are shared by
    /// processes and primitives of whatever number.
    let layout: WeightsLayout

    public init(inputs: Int, outputs: Int, precision: Precision) {
      (self.inputs, self.outputs, self.precision) = (inputs, outputs, precision)
      layout = Parallel.asOneThread {
        LinearGeometry(
          rows: 256, inputs: inputs, outputs: outputs, bias: false, adds: false,
          precision: precision
        ).preferredWeights
      }
    }

    /// Tells forms apart, down to the layout: a processor's features that oneDNN goes by, too.
    public var name: String { "linear \(precision) \(layout.name)" }

    public var preparedShape: [Int] { layout.shape }

    /// - Parameter weight: (outputs, inputs) and, perhaps, ones.
    public func prepare(_ weight: Tensor) -> Tensor {
      // The product's right side is the weights' transpose.
      layout.arranged(weight, from: OneDNN.memory([inputs, outputs], strides: [1, inputs]))
    }
  }

  /// - Parameter input: (…, inputs).
  /// - Returns: (…, outputs).
  public func callAsFunction(_ input: Tensor) -> Tensor {
    run(input, addedTo: nil, shape: input.shape.dropLast() + [outputs])
  }

  /// The layer's result plus a residual, (…, outputs), in one pass.
  ///
  /// - Returns: in the residual's shape.
  public func callAsFunction(_ input: Tensor, addedTo residual: Tensor) -> Tensor {
    run(input, addedTo: residual, shape: residual.shape)
  }

  private func run(_ input: Tensor, addedTo residual: Tensor?, shape: [Int]) -> Tensor {
    precondition(input.shape.last == inputs, "\(input.shape) into a linear layer of \(inputs)")
    let count = input.count / inputs
    let adds = residual != nil
    var output = Tensor(uninitialized: shape)
    precondition(output.count == count * outputs, "\(input.shape) to \(shape)")
    guard count > 0 else { return output }
    // Every thread takes rows of its own, whose bf16 copies stay in its cache; where there are too
    // few rows for that, oneDNN divides the columns.
    let threads = Parallel.threads
    let isDivided = threads > 1 && count >= 32 * threads
    let most = isDivided ? LinearRows.most : count
    let parts = isDivided ? threads * ((count + threads * most - 1) / (threads * most)) : 1
    let part = (count + parts - 1) / parts
    let (whole, last) = (
      LinearRows(self, rows: part, adds: adds, onOneThread: isDivided),
      LinearRows(self, rows: (count - 1) % part + 1, adds: adds, onOneThread: isDivided)
    )
    let (inputs, outputs) = (inputs, outputs)
    input.withValues { input in
      output.withMutableValues { output in
        let (input, output) = (Shared(input), Shared(output))
        func rows(_ range: Range<Int>) {
          for index in range {
            let first = index * part
            residual?.withValues {
              (output.pointer + first * outputs).update(
                from: $0 + first * outputs, count: min(part, count - first) * outputs)
            }
            (first + part <= count ? whole : last)(
              input.pointer + first * inputs, into: output.pointer + first * outputs)
          }
        }
        if isDivided {
          Parallel.ranges(of: (count + part - 1) / part, rows)
        } else {
          rows(0..<1)
        }
      }
    }
    return output
  }

  func withWeights<R>(_ body: (UnsafePointer<Float>) -> R) -> R { weights.values.withValues(body) }
}

/// A linear layer on a fixed number of rows; usable inside parallel loops where made for one thread.
struct LinearRows: @unchecked Sendable {
  /// Rows whose operands stay in a core's cache, and which are enough to read the weights for.
  static let most = 256

  private let layer: Linear
  private let rows: Int
  private let primitive: OneDNNPrimitive

  /// - Parameters:
  ///   - adds: whether the result is added to what is at its place.
  init(_ layer: Linear, rows: Int, adds: Bool, onOneThread: Bool) {
    (self.layer, self.rows) = (layer, rows)
    let geometry = LinearGeometry(
      rows: rows, inputs: layer.inputs, outputs: layer.outputs, bias: layer.bias != nil,
      adds: adds, precision: layer.precision)
    primitive = OneDNN.primitive(.linear(geometry), onOneThread: onOneThread) {
      let layout = Linear.Form(
        inputs: layer.inputs, outputs: layer.outputs, precision: layer.precision
      ).layout
      let made = geometry.compiled(weights: layout)
      // Read in another order, the weights would give numbers that look like any others.
      precondition(
        made.weights == layout, "oneDNN reads the weights as it was not told to")
      return made
    }
  }

  /// - Parameters:
  ///   - input: (rows, inputs).
  ///   - output: (rows, outputs).
  func callAsFunction(
    _ input: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>
  ) {
    switch layer.precision {
    case .full: run(input.forOneDNN, output)
    case .mixed:
      let count = rows * layer.inputs
      let bytes = count * MemoryLayout<UInt16>.stride
      let rounded = BufferPool.shared.take(bytes: bytes)
      defer { BufferPool.shared.giveBack(rounded, bytes: bytes) }
      kernels_to_bfloat16(input, rounded.bindMemory(to: UInt16.self, capacity: count), count)
      run(rounded, output)
    }
  }

  private func run(_ input: UnsafeMutableRawPointer, _ output: UnsafeMutablePointer<Float>) {
    layer.withWeights { weights in
      var arguments: [OneDNNPrimitive.Argument] = [
        (DNNL_ARG_SRC, input), (DNNL_ARG_WEIGHTS, weights.forOneDNN),
        (DNNL_ARG_DST, UnsafeMutableRawPointer(output)),
      ]
      guard let bias = layer.bias else { return primitive.run(arguments) }
      bias.withValues { bias in
        arguments.append((DNNL_ARG_BIAS, bias.forOneDNN))
        primitive.run(arguments)
      }
    }
  }
}

/// Everything that tells one compiled linear layer from another.
struct LinearGeometry: Hashable {
  let rows, inputs, outputs: Int
  let bias, adds: Bool
  let precision: Precision

  private var type: dnnl_data_type_t { precision == .mixed ? dnnl_bf16 : dnnl_f32 }

  var preferredWeights: WeightsLayout {
    compiled(weights: OneDNN.anyLayout([inputs, outputs], type: type)).weights
  }

  func compiled(weights layout: WeightsLayout) -> OneDNNPrimitive {
    compiled(weights: layout.description)
  }

  private func compiled(weights: dnnl_memory_desc_t) -> OneDNNPrimitive {
    var weights = weights
    var source = OneDNN.memory([rows, inputs], type: type)
    var biases = OneDNN.memory([1, outputs])
    var target = OneDNN.memory([rows, outputs])
    var operation = dnnl_matmul_desc_t()
    let status = withUnsafeMutablePointer(to: &biases) {
      dnnl_matmul_desc_init(&operation, &source, &weights, bias ? $0 : nil, &target)
    }
    OneDNN.check(status, "describe a linear layer of \([outputs, inputs])")
    return OneDNNPrimitive(&operation, name: "linear layer of \([outputs, inputs])", adds: adds)
  }
}
