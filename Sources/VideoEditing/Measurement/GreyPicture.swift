/// 8-bit luminance, as OpenCV makes it of red, green and blue: in whole numbers, with the weights of
/// ITU-R BT.601.
struct GreyPicture: Sendable {
  let height, width: Int
  /// Row by row.
  let values: [UInt8]

  /// - Parameter pixels: (height · width · 3) of red, green and blue.
  init(pixels: ArraySlice<UInt8>, height: Int, width: Int) {
    (self.height, self.width) = (height, width)
    values = pixels.withUnsafeBufferPointer { pixels in
      (0..<height * width).map { pixel in
        let (red, green, blue) = (
          Int(pixels[3 * pixel]), Int(pixels[3 * pixel + 1]), Int(pixels[3 * pixel + 2])
        )
        return UInt8((red * 9798 + green * 19235 + blue * 3735 + 1 << 14) >> 15)
      }
    }
  }
}

extension GreyPicture {
  /// - Parameter pixels: of whole pictures, one after another.
  static func each(of pixels: [UInt8], height: Int, width: Int) -> [GreyPicture] {
    let size = height * width * 3
    return (0..<pixels.count / size).map {
      GreyPicture(pixels: pixels[$0 * size..<($0 + 1) * size], height: height, width: width)
    }
  }
}
