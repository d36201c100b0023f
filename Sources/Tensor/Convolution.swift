import COneDNN
import Synchronization

/// A two-dimensional convolution over channels-last pictures, with its weights and bias.
///
/// 3×3 kernels with stride 1 go by `WinogradConvolution`, the others by oneDNN's direct one. Both are
/// computed in 32 bits whatever the model's precision.
public final class Convolution: Sendable {
  /// Zeros added around a picture.
  public struct Padding: Hashable, Sendable {
    public var top, left, bottom, right: Int
    public init(top: Int, left: Int, bottom: Int, right: Int) {
      (self.top, self.left, self.bottom, self.right) = (top, left, bottom, right)
    }
    public static func all(_ amount: Int) -> Padding {
      Padding(top: amount, left: amount, bottom: amount, right: amount)
    }
  }

  public let stride: Int
  public let padding: Padding
  public var inputChannels: Int { shape[1] }
  public var outputChannels: Int { shape[0] }

  /// Of the plain weights.
  private let shape: [Int]
  private let weights: PreparedWeights
  private let bias: Tensor?
  /// For the direct convolution, whose layout is oneDNN's choice for a picture's size.
  private let packed = Mutex<[PackedWeights]>([])

  /// - Parameters:
  ///   - weight: (output channels, input channels, kernel height, kernel width), PyTorch's order.
  ///   - bias: (output channels).
  public convenience init(
    weight: Tensor, bias: Tensor?, stride: Int = 1, padding: Padding = .all(0)
  ) {
    precondition(weight.shape.count == 4, "a convolution's weights have four dimensions")
    let form = Form(shape: weight.shape, stride: stride)
    self.init(
      shape: weight.shape, weights: PreparedWeights { form.prepare(weight) }, bias: bias,
      stride: stride, padding: padding)
  }

  /// - Parameters:
  ///   - shape: of the plain weights.
  ///   - weights: in the form that `Form` gives for them.
  public init(
    shape: [Int], weights: PreparedWeights, bias: Tensor?, stride: Int = 1,
    padding: Padding = .all(0)
  ) {
    precondition(
      shape.count == 4 && (bias.map { $0.count == shape[0] } ?? true),
      "a convolution's weights have four dimensions")
    self.shape = shape
    self.weights = weights
    self.bias = bias
    self.stride = stride
    self.padding = padding
  }

  /// In which form a convolution keeps its weights.
  public struct Form: Sendable {
    let shape: [Int]
    let isWinograd: Bool

    public init(shape: [Int], stride: Int) {
      self.shape = shape
      isWinograd = shape[2] == 3 && shape[3] == 3 && stride == 1
    }

    /// Tells forms apart.
    public var name: String { isWinograd ? "winograd" : "plain" }

    public var preparedShape: [Int] {
      isWinograd
        ? WinogradConvolution.preparedShape(outputs: shape[0], inputs: shape[1]) : shape
    }

    public func prepare(_ weight: Tensor) -> Tensor {
      isWinograd ? WinogradConvolution.prepared(weight) : weight
    }
  }

  /// - Parameters:
  ///   - input: (n, height, width, input channels).
  ///   - shift: (1, output channels) to be added to every pixel, beside the layer's own bias.
  /// - Returns: (n, height', width', output channels).
  public func callAsFunction(_ input: Tensor, shift: Tensor? = nil) -> Tensor {
    precondition(
      input.shape.count == 4 && input.shape[3] == inputChannels,
      "\(input.shape) into a convolution of \(shape)")
    let bias =
      shift.map { shift in
        let shift = shift.reshaped([outputChannels])
        return self.bias.map { $0 + shift } ?? shift
      } ?? self.bias
    let (n, height, width) = (input.shape[0], input.shape[1], input.shape[2])
    let (kernelHeight, kernelWidth) = (shape[2], shape[3])
    let outputHeight = (height + padding.top + padding.bottom - kernelHeight) / stride + 1
    let outputWidth = (width + padding.left + padding.right - kernelWidth) / stride + 1
    if Form(shape: shape, stride: stride).isWinograd {
      return WinogradConvolution(
        inputChannels: inputChannels, outputChannels: outputChannels, top: padding.top,
        left: padding.left)(
          input, weights: weights.values, bias: bias, outputHeight: outputHeight,
          outputWidth: outputWidth)
    }
    let geometry = ConvolutionGeometry(
      input: input.shape, weight: shape,
      output: [n, outputHeight, outputWidth, outputChannels], stride: stride, padding: padding,
      bias: bias != nil)
    let primitive = OneDNN.primitive(.convolution(geometry)) { geometry.compiled() }
    let weights = packedWeights(for: primitive, geometry)
    var output = Tensor(uninitialized: geometry.output)
    input.withValues { input in
      weights.withValues { weights in
        output.withMutableValues { output in
          var arguments: [OneDNNPrimitive.Argument] = [
            (DNNL_ARG_SRC, input.forOneDNN), (DNNL_ARG_WEIGHTS, weights.forOneDNN),
            (DNNL_ARG_DST, UnsafeMutableRawPointer(output)),
          ]
          if let bias {
            bias.withValues { bias in
              arguments.append((DNNL_ARG_BIAS, bias.forOneDNN))
              primitive.run(arguments)
            }
          } else {
            primitive.run(arguments)
          }
        }
      }
    }
    return output
  }

  /// Different picture sizes may ask for different layouts; in practice they share one or two.
  private func packedWeights(for primitive: OneDNNPrimitive, _ geometry: ConvolutionGeometry)
    -> Tensor
  {
    let wanted = primitive.weights
    return packed.withLock { packed in
      if let found = packed.first(where: { $0.has(layout: wanted) }) { return found.values }
      let weight = weights.values
      let plain = OneDNN.memory(shape)
      let size = dnnl_memory_desc_get_size([wanted])
      var values = Tensor(uninitialized: [(size + 3) / 4])
      let reorder = OneDNNPrimitive(reorderFrom: plain, to: wanted)
      weight.withValues { from in
        values.withMutableValues { to in
          reorder.run([(DNNL_ARG_FROM, from.forOneDNN), (DNNL_ARG_TO, UnsafeMutableRawPointer(to))])
        }
      }
      packed.append(PackedWeights(layout: wanted, values: values))
      return values
    }
  }
}

private struct PackedWeights: @unchecked Sendable {
  let layout: dnnl_memory_desc_t
  let values: Tensor

  func has(layout wanted: dnnl_memory_desc_t) -> Bool {
    OneDNN.isEqual(layout, wanted)
  }
}

/// Everything that tells one compiled convolution from another.
struct ConvolutionGeometry: Hashable {
  let input, weight, output: [Int]
  let stride: Int
  let padding: Convolution.Padding
  let bias: Bool

  func compiled() -> OneDNNPrimitive {
    // oneDNN names dimensions in the order n, c, h, w, whatever the layout in memory is.
    func channelsLast(_ shape: [Int]) -> dnnl_memory_desc_t {
      let (n, height, width, channels) = (shape[0], shape[1], shape[2], shape[3])
      return OneDNN.memory(
        [n, channels, height, width],
        strides: [height * width * channels, 1, width * channels, channels])
    }
    var source = channelsLast(input)
    var target = channelsLast(output)
    var weights = OneDNN.anyLayout(weight)
    var biases = OneDNN.memory([weight[0]])
    var operation = dnnl_convolution_desc_t()
    // What is missing on the far side is what the output's size asks for, which may be less than
    // the padding named (a stride's remainder).
    let bottom = (output[1] - 1) * stride + weight[2] - input[1] - padding.top
    let right = (output[2] - 1) * stride + weight[3] - input[2] - padding.left
    let strides = [Int64(stride), Int64(stride)]
    let (near, far) = ([Int64(padding.top), Int64(padding.left)], [Int64(bottom), Int64(right)])
    let status = withUnsafeMutablePointer(to: &biases) { biases in
      dnnl_convolution_forward_desc_init(
        &operation, dnnl_forward_inference, dnnl_convolution_direct, &source, &weights,
        bias ? biases : nil, &target, strides, near, far)
    }
    OneDNN.check(status, "describe a convolution of \(input) by \(weight)")
    return OneDNNPrimitive(&operation, name: "convolution of \(input) by \(weight)")
  }
}
