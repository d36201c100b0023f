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

  public var stride: Int { form.stride }
  public let padding: Padding
  public var inputChannels: Int { shape[1] }
  public var outputChannels: Int { shape[0] }

  private var shape: [Int] { form.shape }
  private let form: Form
  private let weights: PreparedWeights
  private let bias: Tensor?
  /// The weights in other layouts than the form's.
  let others = Mutex<[(layout: WeightsLayout, values: Tensor)]>([])

  /// - Parameters:
  ///   - weight: (output channels, input channels, kernel height, kernel width), PyTorch's order.
  ///   - bias: (output channels).
  public convenience init(
    weight: Tensor, bias: Tensor?, stride: Int = 1, padding: Padding = .all(0)
  ) {
    precondition(weight.shape.count == 4, "a convolution's weights have four dimensions")
    let form = Form(shape: weight.shape, stride: stride)
    self.init(
      form, weights: PreparedWeights { form.prepare(weight) }, bias: bias, padding: padding)
  }

  /// - Parameters:
  ///   - weights: in the form that is given.
  ///   - bias: (output channels).
  public init(_ form: Form, weights: PreparedWeights, bias: Tensor?, padding: Padding = .all(0)) {
    precondition(
      bias.map { $0.count == form.shape[0] } ?? true, "a bias for \(form.shape[0]) channels")
    self.form = form
    self.weights = weights
    self.bias = bias
    self.padding = padding
  }

  /// In which form a convolution keeps its weights.
  public struct Form: Sendable {
    let shape: [Int]
    let stride: Int
    /// For the direct convolution, what oneDNN chooses for a usual picture and one thread; `nil`
    /// where it goes by Winograd's.
    let direct: WeightsLayout?

    /// - Parameter shape: of the plain weights.
    public init(shape: [Int], stride: Int) {
      precondition(shape.count == 4, "a convolution's weights have four dimensions")
      (self.shape, self.stride) = (shape, stride)
      if shape[2] == 3, shape[3] == 3, stride == 1 {
        direct = nil
      } else {
        direct = Parallel.asOneThread {
          ConvolutionGeometry(
            input: [1, 64, 64, shape[1]], weight: shape, stride: stride,
            padding: Padding(
              top: shape[2] / 2, left: shape[3] / 2, bottom: shape[2] / 2, right: shape[3] / 2),
            bias: true
          ).compiled().weights
        }
      }
    }

    init(shape: [Int], stride: Int, direct layout: WeightsLayout) {
      (self.shape, self.stride, direct) = (shape, stride, layout)
    }

    /// Tells forms apart, down to the layout.
    public var name: String { direct.map { "direct \($0.name)" } ?? "winograd" }

    public var preparedShape: [Int] {
      direct?.shape ?? WinogradConvolution.preparedShape(outputs: shape[0], inputs: shape[1])
    }

    public func prepare(_ weight: Tensor) -> Tensor {
      direct?.arranged(weight, from: OneDNN.memory(shape)) ?? WinogradConvolution.prepared(weight)
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
    let geometry = ConvolutionGeometry(
      input: input.shape, weight: shape, stride: stride, padding: padding, bias: bias != nil)
    if form.direct == nil {
      return WinogradConvolution(
        inputChannels: inputChannels, outputChannels: outputChannels, top: padding.top,
        left: padding.left)(
          input, weights: weights.values, bias: bias, outputHeight: geometry.output[1],
          outputWidth: geometry.output[2])
    }
    let primitive = OneDNN.primitive(.convolution(geometry)) { geometry.compiled() }
    let weights = weights(as: primitive.weights)
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

  /// The form's own weights, but for tiny pictures on many threads, for which oneDNN may want them
  /// otherwise.
  private func weights(as wanted: WeightsLayout) -> Tensor {
    guard let layout = form.direct, layout != wanted else { return weights.values }
    return others.withLock { others in
      if let found = others.first(where: { $0.layout == wanted }) { return found.values }
      let values = wanted.arranged(weights.values, from: layout.description)
      others.append((wanted, values))
      return values
    }
  }
}

/// Everything that tells one compiled convolution from another.
struct ConvolutionGeometry: Hashable {
  /// (n, height, width, channels).
  let input, output: [Int]
  let weight: [Int]
  let stride: Int
  let padding: Convolution.Padding
  let bias: Bool

  init(input: [Int], weight: [Int], stride: Int, padding: Convolution.Padding, bias: Bool) {
    (self.input, self.weight, self.bias) = (input, weight, bias)
    (self.stride, self.padding) = (stride, padding)
    output = [
      input[0], (input[1] + padding.top + padding.bottom - weight[2]) / stride + 1,
      (input[2] + padding.left + padding.right - weight[3]) / stride + 1, weight[0],
    ]
  }

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
