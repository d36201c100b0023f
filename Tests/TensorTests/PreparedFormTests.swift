import COneDNN
import Foundation
import Testing

@testable import Tensor

/// What several processes with different numbers of threads must agree on.
@Suite struct PreparedFormTests {
  private static let precisions = Precision.allCases.filter {
    $0 == .full || Precision.isMixedSupported
  }
  /// Of Stable Diffusion's layers, and some that fill no block.
  private static let sizes = [
    (320, 320), (320, 2560), (1280, 320), (768, 640), (53, 37), (4, 1280),
  ]

  @Test("a linear layer's form is the same whatever the number of threads", arguments: precisions)
  func threads(precision: Precision) {
    for (inputs, outputs) in Self.sizes {
      let form = Linear.Form(inputs: inputs, outputs: outputs, precision: precision)
      let (layout, name, shape) = withThreads(1) { (form.layout, form.name, form.preparedShape) }
      for threads in [2, 3, 7, 32, 128] {
        withThreads(threads) {
          #expect(form.layout == layout, "\(threads) threads")
          #expect(form.name == name && form.preparedShape == shape)
        }
      }
    }
  }

  @Test("a form's name tells its layout: layouts that differ have different names")
  func names() {
    let forms = Self.precisions.flatMap { precision in
      Self.sizes.map { Linear.Form(inputs: $0, outputs: $1, precision: precision) }
    }
    for a in forms {
      for b in forms where a.inputs == b.inputs && a.outputs == b.outputs {
        #expect((a.name == b.name) == (a.layout == b.layout))
      }
    }
    let plain = OneDNN.memory([64, 96])
    let transposed = OneDNN.memory([64, 96], strides: [1, 64])
    var blocked = dnnl_memory_desc_t()
    dnnl_memory_desc_init_by_tag(&blocked, 2, [64, 96], dnnl_f32, dnnl_BA16a16b)
    var wider = dnnl_memory_desc_t()
    dnnl_memory_desc_init_by_tag(&wider, 2, [64, 96], dnnl_f32, dnnl_BA16a32b)
    let layouts = [plain, transposed, blocked, wider].map { WeightsLayout(description: $0).name }
    #expect(Set(layouts).count == layouts.count, "\(layouts)")
    let form = Linear.Form(inputs: 64, outputs: 96, precision: .full)
    #expect(form.name.contains(form.layout.name))
  }

  @Test(
    "what computes with prepared weights reads them in their form's layout", arguments: precisions)
  func compiled(precision: Precision) {
    for (inputs, outputs) in Self.sizes {
      let form = Linear.Form(inputs: inputs, outputs: outputs, precision: precision)
      for (threads, rows) in [(1, 1), (1, 256), (2, 77), (7, 4096), (64, 256)] {
        withThreads(threads) {
          let geometry = LinearGeometry(
            rows: rows, inputs: inputs, outputs: outputs, bias: true, adds: false,
            precision: precision)
          #expect(geometry.compiled(weights: form.layout).weights == form.layout)
        }
      }
    }
  }

  /// One of Stable Diffusion's UNet and one of its autoencoder.
  @Test(
    "a strided convolution reads its prepared weights, and makes no copy of its own, at usual sizes",
    .enabled(if: Processor.hasAVX512))
  func strided() {
    for (channels, padding) in [
      (320, Convolution.Padding.all(1)), (128, .init(top: 0, left: 0, bottom: 1, right: 1)),
    ] {
      let form = Convolution.Form(shape: [channels, channels, 3, 3], stride: 2)
      let name = form.name
      let weight = sample([channels, channels, 3, 3])
      let prepared = form.prepare(weight)
      #expect(prepared.shape == form.preparedShape)
      let convolution = Convolution(
        form, weights: PreparedWeights(ready: prepared), bias: nil, padding: padding)
      for (threads, shape) in [(1, [1, 64, 64]), (2, [5, 22, 24]), (4, [1, 48, 64])] {
        withThreads(threads) {
          #expect(Convolution.Form(shape: form.shape, stride: 2).name == name)
          _ = convolution(sample(shape + [channels]))
        }
      }
      #expect(convolution.others.withLock { $0.isEmpty })
    }
  }

  @Test("a picture for which oneDNN wants the weights otherwise is served all the same")
  func otherLayout() {
    let weight = sample([32, 16, 3, 3])
    let form = Convolution.Form(shape: weight.shape, stride: 2)
    let convolution = Convolution(weight: weight, bias: nil, stride: 2, padding: .all(1))
    let input = sample([2, 9, 8, 16])
    let expected = convolution(input)
    let plain = WeightsLayout(description: OneDNN.memory(weight.shape))
    let other = Convolution(
      Convolution.Form(shape: weight.shape, stride: 2, direct: plain),
      weights: PreparedWeights(ready: weight), bias: nil, padding: .all(1))
    #expect(other(input).values == expected.values && other(input).values == expected.values)
    #expect(other.others.withLock { $0.count } == (form.direct == plain ? 0 : 1))
  }
}
