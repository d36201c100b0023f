import Tensor

/// How a picture becomes what CLIP's image encoder sees, as transformers' CLIPImageProcessor does it
/// with Pillow: the shorter side is scaled by bicubic interpolation, the middle cut out, and the
/// channels normalised.
struct CLIPPreprocessing: Sendable {
  private enum Size {
    case shorterSide(Int)
    case exactly(height: Int, width: Int)
  }

  /// What the encoder takes.
  private let side: Int
  private let size: Size
  private let factor: Float
  private let mean, deviation: [Float]

  /// - Parameters:
  ///   - configuration: `nil` for CLIP's own values.
  ///   - side: of the square pictures that the encoder takes.
  /// - Throws: `ModelError` where it is not supported, or makes pictures of another size.
  init(_ configuration: ComponentConfiguration?, side: Int) throws {
    self.side = side
    let configuration = configuration ?? ComponentConfiguration([:], place: "CLIP's own")
    for key in ["do_resize", "do_center_crop", "do_rescale", "do_normalize"] {
      try configuration.require(key, oneOf: "true")
    }
    // Pillow's number of bicubic interpolation.
    try configuration.require("resample", oneOf: "3")
    if let object = configuration.object("size") {
      size =
        object.has("shortest_edge")
        ? .shorterSide(try object.size("shortest_edge"))
        : .exactly(height: try object.size("height"), width: try object.size("width"))
    } else {
      size = .shorterSide(try configuration.size("size", default: side))
    }
    let crop: [Int]
    if let object = configuration.object("crop_size") {
      crop = [try object.size("height"), try object.size("width")]
    } else {
      crop = [try configuration.size("crop_size", default: side)]
    }
    let least =
      switch size {
      case .shorterSide(let side): side
      case .exactly(let height, let width): min(height, width)
      }
    guard crop.allSatisfy({ $0 == side }), least >= side else {
      throw configuration.wrong(
        "crop_size", "and 'size' do not give the \(side)x\(side) pixels that the encoder takes")
    }
    factor = Float(try configuration.number("rescale_factor", default: 1.0 / 255))
    func channels(_ key: String, _ own: [Double]) throws -> [Float] {
      let values = configuration.has(key) ? try configuration.numbers(key) : own
      guard values.count == 3 else { throw configuration.wrong(key, "takes three numbers") }
      return values.map { Float($0) }
    }
    mean = try channels("image_mean", [0.48145466, 0.4578275, 0.40821073])
    deviation = try channels("image_std", [0.26862954, 0.26130258, 0.27577711])
    guard deviation.allSatisfy({ $0 > 0 }) else {
      throw configuration.wrong("image_std", "takes numbers above 0")
    }
  }

  /// - Parameter pictures: (frames, height, width, 3) in [-1, 1].
  /// - Returns: (frames, side, side, 3).
  func callAsFunction(_ pictures: Tensor) -> Tensor {
    let (frames, height, width) = (pictures.shape[0], pictures.shape[1], pictures.shape[2])
    var result = Tensor(repeating: 0, shape: [frames, side, side, 3])
    let (newHeight, newWidth) = scaledSize(height: height, width: width)
    let (down, across) = (
      BicubicScaling(from: height, to: newHeight), BicubicScaling(from: width, to: newWidth)
    )
    let (top, left) = ((newHeight - side) / 2, (newWidth - side) / 2)
    let pixels = pictures.pixels
    result.withMutableValues { result in
      for frame in 0..<frames {
        let own = pixels[frame * height * width * 3..<(frame + 1) * height * width * 3]
        let scaled = down.scaledRows(
          of: across.scaledColumns(of: Array(own), rows: height), rowBytes: newWidth * 3)
        for y in 0..<side {
          for x in 0..<side {
            for channel in 0..<3 {
              let value = Float(scaled[((top + y) * newWidth + left + x) * 3 + channel]) * factor
              result[((frame * side + y) * side + x) * 3 + channel] =
                (value - mean[channel]) / deviation[channel]
            }
          }
        }
      }
    }
    return result
  }

  private func scaledSize(height: Int, width: Int) -> (height: Int, width: Int) {
    switch size {
    case .exactly(let height, let width): return (height, width)
    case .shorterSide(let short):
      let long = short * max(height, width) / min(height, width)
      return height < width ? (short, long) : (long, short)
    }
  }
}
