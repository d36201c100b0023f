extension Tensor {
  /// Pictures in [-1, 1] from 8-bit pixels; (frames, height, width, 3).
  public init(pixels: some Collection<UInt8>, frames: Int, height: Int, width: Int) {
    precondition(
      pixels.count == frames * height * width * 3,
      "\(pixels.count) bytes for \(frames) frames of \(width)x\(height)")
    self.init(pixels.map { Float($0) / 127.5 - 1 }, shape: [frames, height, width, 3])
  }

  /// 8-bit pixels from pictures in [-1, 1]; what lies outside is clipped.
  public var pixels: [UInt8] {
    withValues { values in
      // This order of the comparison makes 0 of what is not a number.
      (0..<count).map {
        UInt8(min(255, max(0, (values[$0] + 1) * 127.5)).rounded(.toNearestOrEven))
      }
    }
  }

  /// Every element within [-1, 1]; what is not a number stays so, for whoever looks for it.
  public var clippedToPictures: Tensor { mapped { $0.isNaN ? $0 : min(1, max(-1, $0)) } }
}
