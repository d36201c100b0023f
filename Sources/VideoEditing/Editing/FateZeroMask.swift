import StableDiffusion
import Tensor

/// Where a clip is edited: the place of some words in the source's attention to its prompt
/// (FateZero's `SpatialBlender` with the source's maps alone).
struct BlendMask {
  /// What the layers and heads make of each pixel, summed; (frames, pixels of `grid`).
  private var map: (sums: Tensor, grid: FeatureGrid)?
  private let threshold: Float

  init(threshold: Float) { self.threshold = threshold }

  /// The layers whose maps are read: a quarter of the latents' resolution, which is where the
  /// authors' lists point at 512².
  static func reads(_ site: LayerSite) -> Bool { stages.contains(site.stage) }

  /// Whether these layers are there, and of one resolution.
  static func canRead(_ unet: UNet) -> Bool {
    unet.channels.count == 4 && stages.allSatisfy(unet.attends)
  }

  private static let stages = [LayerSite.Stage.down(2), .up(1)]

  /// - Parameters:
  ///   - attention: attention to the words, (frames, n, channels), the same in all channels of a
  ///     head.
  mutating func add(_ attention: Tensor, heads: Int, grid: FeatureGrid) {
    let (frames, n, channels) = (attention.shape[0], attention.shape[1], attention.shape[2])
    precondition(map == nil || map?.grid == grid, "a map of \(grid) beside others")
    var sums = map?.sums ?? Tensor(repeating: 0, shape: [frames, n])
    attention.withValues { attention in
      sums.withMutableValues { sums in
        for token in 0..<frames * n {
          for head in 0..<heads {
            sums[token] += attention[token * channels + head * (channels / heads)]
          }
        }
      }
    }
    map = (sums, grid)
  }

  /// Which tokens of a feature map lie in the edited place, frame by frame.
  ///
  /// The map is spread by a maximum over 3×3 pixels, taken to the feature map's size by the nearest
  /// pixel, and compared with `threshold` times its greatest value. Its scale does not matter.
  func tokens(of target: FeatureGrid) -> [Bool] {
    guard let (sums, grid) = map else { return [] }
    let (frames, n) = (sums.shape[0], grid.height * grid.width)
    let (rows, columns) = (
      Self.nearest(target.height, of: grid.height), Self.nearest(target.width, of: grid.width)
    )
    return sums.withValues { sums in
      (0..<frames).flatMap { frame -> [Bool] in
        let spread = Self.spread(sums + frame * n, grid)
        let map = rows.flatMap { row in columns.map { spread[row * grid.width + $0] } }
        let greatest = map.max() ?? 0
        return map.map { $0 / greatest > threshold }
      }
    }
  }

  private static func spread(_ map: UnsafePointer<Float>, _ grid: FeatureGrid) -> [Float] {
    (0..<grid.height * grid.width).map { pixel in
      let (y, x) = (pixel / grid.width, pixel % grid.width)
      var greatest = -Float.infinity
      for row in max(0, y - 1)...min(grid.height - 1, y + 1) {
        for column in max(0, x - 1)...min(grid.width - 1, x + 1) {
          greatest = max(greatest, map[row * grid.width + column])
        }
      }
      return greatest
    }
  }

  /// The pixels that PyTorch's interpolation takes, in its arithmetic of 32 bits.
  private static func nearest(_ count: Int, of size: Int) -> [Int] {
    let scale = Float(size) / Float(count)
    return (0..<count).map { min(size - 1, Int((Float($0) * scale).rounded(.down))) }
  }
}
