import CKernels

/// Channels to a vector.
private let lanes = 16

/// 3×3 convolutions with stride 1 by Winograd's F(4×4, 3×3): tiles of 4×4 pixels for a quarter of
/// the multiplications. The relative error is some 1e-6.
///
/// Tiles and weights are transformed into 36 matrices each, which are multiplied. The transformed
/// weights would take four times the memory of the plain ones and more time to read than to make
/// anew, so they are made as they are used, some output channels at a time, and never leave the
/// cache.
struct WinogradConvolution: Sendable {
  let inputChannels, outputChannels: Int
  let top, left: Int

  /// Plain weights, (output channels, input channels, 3, 3), as the transform reads them: (output
  /// channels / 16, input channels, 9, 16), with zeros for the channels that fill up both.
  static func prepared(_ weight: Tensor) -> Tensor {
    let (outputs, inputs) = (weight.shape[0], weight.shape[1])
    let shape = preparedShape(outputs: outputs, inputs: inputs)
    var result = Tensor(uninitialized: shape)
    let wideInputs = shape[1]
    weight.withValues { plain in
      result.withMutableValues { prepared in
        let (plain, prepared) = (Shared(plain), Shared(prepared))
        Parallel.ranges(of: shape[0]) { range in
          for group in range {
            var to = prepared.pointer + group * wideInputs * 9 * lanes
            for input in 0..<wideInputs {
              for tap in 0..<9 {
                for lane in 0..<lanes {
                  let output = group * lanes + lane
                  to[lane] =
                    output < outputs && input < inputs
                    ? plain.pointer[(output * inputs + input) * 9 + tap] : 0
                }
                to += lanes
              }
            }
          }
        }
      }
    }
    return result
  }

  static func preparedShape(outputs: Int, inputs: Int) -> [Int] {
    [(outputs + lanes - 1) / lanes, (inputs + lanes - 1) / lanes * lanes, 9, lanes]
  }

  /// - Parameters:
  ///   - input: (n, height, width, input channels).
  ///   - weights: as `prepared` gives them.
  ///   - bias: (output channels).
  /// - Returns: (n, outputHeight, outputWidth, output channels).
  func callAsFunction(
    _ input: Tensor, weights: Tensor, bias: Tensor?, outputHeight: Int, outputWidth: Int
  ) -> Tensor {
    let inputs = weights.shape[1]
    let outputs = weights.shape[0] * lanes
    var wideBias = Tensor(repeating: 0, shape: [outputs])
    if let bias {
      wideBias.withMutableValues { to in
        bias.withValues { to.update(from: $0, count: outputChannels) }
      }
    }
    let input = input.paddedChannels(to: inputs)
    var output = Tensor(uninitialized: [input.shape[0], outputHeight, outputWidth, outputs])
    let geometry = Geometry(
      tilesDown: (outputHeight + 3) / 4, tilesAcross: (outputWidth + 3) / 4,
      tiles: input.shape[0] * ((outputHeight + 3) / 4) * ((outputWidth + 3) / 4),
      height: input.shape[1], width: input.shape[2], outputHeight: outputHeight,
      outputWidth: outputWidth, inputs: inputs, outputs: outputs, top: top, left: left)
    guard output.count > 0 else { return output }
    input.withValues { input in
      weights.withValues { weights in
        wideBias.withValues { bias in
          output.withMutableValues { output in
            geometry.run(
              input: Shared(input), weights: Shared(weights), bias: Shared(bias),
              output: Shared(output))
          }
        }
      }
    }
    return outputs == outputChannels ? output : output.channels(0..<outputChannels)
  }

  private struct Geometry {
    let tilesDown, tilesAcross, tiles: Int
    let height, width, outputHeight, outputWidth: Int
    let inputs, outputs: Int
    let top, left: Int

    /// Memory for transformed tiles: what the cache shared by the cores holds beside the weights.
    private static let tileBytes = 12 << 20

    private static let multipliesItself = Processor.hasAVX512

    /// Tiles that are multiplied at once: enough for the products to run at full speed.
    private static let mostTiles = multipliesItself ? 64 : 128

    /// Output channels that are multiplied at once: for our own products, as many as they have room
    /// for in registers. Where oneDNN multiplies, wide ones are faster; with many threads narrower
    /// ones keep all of them busy and their scratch memory small.
    private var columns: Int {
      let groups = outputs / lanes
      let most = Self.multipliesItself || Parallel.threads > 4 ? 4 : 10
      return lanes * ((1...min(most, groups)).last { groups % $0 == 0 } ?? 1)
    }

    /// Input channels whose transformed weights stay in the cache. Those of our own products are in a
    /// core's own, 1 MB on what they were measured on: 36 · 80 · 64 floats are 737 kB, and some of
    /// the plain weights that come next.
    private static let mostDepth = multipliesItself ? 80 : 320

    /// A length and a cache line, so that what is read at once (the 36 matrices, and a few tiles of
    /// one) does not fall on the same lines of the cache.
    private static func padded(_ count: Int) -> Int { count + lanes }

    func run(
      input: Shared<UnsafePointer<Float>>, weights: Shared<UnsafePointer<Float>>,
      bias: Shared<UnsafePointer<Float>>, output: Shared<UnsafeMutablePointer<Float>>
    ) {
      let (threads, columns) = (Parallel.threads, columns)
      let blocks = outputs / columns
      let tileStride = Self.padded(inputs)
      let portion = min(tiles, max(32, Self.tileBytes / (36 * 4 * tileStride)))
      // Even parts, as many as give every thread as much to do.
      var parts = (portion + Self.mostTiles - 1) / Self.mostTiles
      while parts * blocks % threads != 0, parts * blocks < 4 * threads { parts += 1 }
      let part = (portion + parts - 1) / parts
      let depths = Self.depths(of: inputs)
      let tileStep = Self.padded(portion * tileStride)
      let weightStep = Self.padded((depths.map(\.count).max() ?? 0) * columns)
      let productStep = Self.padded(part * columns)
      // Products that wait for further input channels: of one block, and at most all that a thread has.
      let waiting = depths.count == 1 ? 1 : min(parts, (parts * blocks + threads - 1) / threads)
      var transformed = Tensor(uninitialized: [36 * tileStep])
      let size = 36 * (weightStep + waiting * productStep)
      var scratch = Tensor(uninitialized: [threads, size])
      transformed.withMutableValues { transformed in
        scratch.withMutableValues { scratch in
          let (transformed, scratch) = (Shared(transformed), Shared(scratch))
          for first in stride(from: 0, to: tiles, by: portion) {
            let count = min(portion, tiles - first)
            Parallel.ranges(of: count, atLeast: 4) { range in
              for tile in range {
                let place = place(of: first + tile)
                kernels_winograd_input(
                  input.pointer + place.image * height * width * inputs, height, width, inputs,
                  place.y - top, place.x - left, transformed.pointer + tile * tileStride, tileStep)
              }
            }
            let parts = (count + part - 1) / part
            Parallel.parts(of: parts * blocks) { thread, range in
              let transformedWeights = scratch.pointer + thread * size
              let products = transformedWeights + 36 * weightStep
              for block in range.lowerBound / parts...(range.upperBound - 1) / parts {
                let mine = range.clamped(to: block * parts..<(block + 1) * parts)
                for (index, depth) in depths.enumerated() {
                  transform(
                    weights.pointer, block * columns, columns, depth, into: transformedWeights,
                    weightStep)
                  let isLast = index == depths.count - 1
                  let next: (block: Int, depth: Int) = isLast ? (block + 1, 0) : (block, index + 1)
                  let soon =
                    Self.multipliesItself && next.block * parts < range.upperBound
                    ? Block(
                      weights.pointer, column: next.block * columns, columns, depths[next.depth],
                      inputs: inputs) : nil
                  for item in mine {
                    let begin = item % parts * part
                    let rows = min(part, count - begin)
                    let products =
                      products + (item - mine.lowerBound) % waiting * 36 * productStep
                    for element in 0..<36 {
                      addProduct(
                        transformed.pointer + element * tileStep + begin * tileStride
                          + depth.lowerBound, tileStride,
                        transformedWeights + element * weightStep,
                        into: products + element * productStep, rows: rows, inner: depth.count,
                        columns: columns, adds: index > 0,
                        fetching: item == mine.lowerBound ? soon?.part(element) : nil)
                    }
                    guard isLast else { continue }
                    for row in 0..<rows {
                      let place = place(of: first + begin + row)
                      kernels_winograd_output(
                        products + row * columns, productStep, columns,
                        bias.pointer + block * columns,
                        output.pointer + place.image * outputHeight * outputWidth * outputs
                          + block * columns, outputHeight, outputWidth, outputs, place.y, place.x)
                    }
                  }
                }
              }
            }
          }
        }
      }
    }

    /// Input channels that are multiplied at once, in whole vectors.
    private static func depths(of inputs: Int) -> [Range<Int>] {
      let vectors = inputs / lanes
      let count = (inputs + mostDepth - 1) / mostDepth
      return (0..<count).map {
        vectors * $0 / count * lanes..<vectors * ($0 + 1) / count * lanes
      }
    }

    private func addProduct(
      _ tiles: UnsafePointer<Float>, _ tileStride: Int, _ weights: UnsafePointer<Float>,
      into products: UnsafeMutablePointer<Float>, rows: Int, inner: Int, columns: Int, adds: Bool,
      fetching next: UnsafeBufferPointer<Float>?
    ) {
      guard Self.multipliesItself else {
        return multiply(
          Matrix(pointer: tiles, stride: tileStride), Matrix(pointer: weights, stride: columns),
          into: Matrix(pointer: products, stride: columns), rows: rows, inner: inner,
          columns: columns, keep: adds ? 1 : 0)
      }
      var call = kernels_tile_products(
        tiles: tiles, tile_stride: tileStride, weights: weights, products: products,
        tile_count: rows, depth: inner, columns: columns, adds: adds, next: next?.baseAddress,
        next_count: next?.count ?? 0)
      kernels_tile_products_avx512(&call)
    }

    /// Some channels' plain weights, which come from memory: at most four groups of sixteen output
    /// channels, whose numbers divide 36.
    private struct Block {
      private let start: UnsafePointer<Float>
      /// From sixteen output channels to the next, and how many of these there are.
      private let step, groups: Int
      /// Of sixteen output channels.
      private let count: Int

      init(
        _ weights: UnsafePointer<Float>, column: Int, _ columns: Int, _ depth: Range<Int>,
        inputs: Int
      ) {
        start = weights + (column * inputs + depth.lowerBound * lanes) * 9
        (step, groups) = (inputs * lanes * 9, columns / lanes)
        count = depth.count * lanes * 9
      }

      /// The part that is brought nearer while one of the 36 products is made.
      func part(_ element: Int) -> UnsafeBufferPointer<Float> {
        let (group, place) = (element * groups / 36, element * groups % 36)
        let size = count * groups / 36
        return UnsafeBufferPointer(
          start: start + group * step + count * place / 36, count: size)
      }
    }

    private func transform(
      _ weights: UnsafePointer<Float>, _ firstColumn: Int, _ columns: Int, _ depth: Range<Int>,
      into transformed: UnsafeMutablePointer<Float>, _ step: Int
    ) {
      for column in stride(from: 0, to: columns, by: lanes) {
        kernels_winograd_weights(
          weights + ((firstColumn + column) * inputs + depth.lowerBound * lanes) * 9, depth.count,
          transformed + column, columns, step)
      }
    }

    private func place(of tile: Int) -> (image: Int, y: Int, x: Int) {
      let (image, rest) = (tile / (tilesDown * tilesAcross), tile % (tilesDown * tilesAcross))
      return (image, rest / tilesAcross * 4, rest % tilesAcross * 4)
    }
  }
}

extension Tensor {
  /// The same pixels with zeros for further channels.
  fileprivate func paddedChannels(to wide: Int) -> Tensor {
    let channels = shape[shape.count - 1]
    guard channels < wide else { return self }
    var result = Tensor(repeating: 0, shape: shape.dropLast() + [wide])
    withValues { source in
      result.withMutableValues { target in
        for pixel in 0..<count / channels {
          (target + pixel * wide).update(from: source + pixel * channels, count: channels)
        }
      }
    }
    return result
  }
}
