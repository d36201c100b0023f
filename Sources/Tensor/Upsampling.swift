extension Tensor {
  /// Nearest-neighbour resizing of channels-last pictures: pixel y of the result is pixel ⌊y ·
  /// height / newHeight⌋ of this.
  public func upsampledNearest(height newHeight: Int, width newWidth: Int) -> Tensor {
    let (n, height, width, channels) = (shape[0], shape[1], shape[2], shape[3])
    var result = Tensor(uninitialized: [n, newHeight, newWidth, channels])
    withValues { source in
      result.withMutableValues { target in
        let (source, target) = (Shared(source), Shared(target))
        Parallel.ranges(of: n * newHeight, atLeast: max(1, 1 << 14 / max(newWidth * channels, 1))) {
          range in
          for item in range {
            let row =
              source.pointer + (item / newHeight * height + item % newHeight * height / newHeight)
              * width * channels
            let to = target.pointer + item * newWidth * channels
            for x in 0..<newWidth {
              (to + x * channels).update(
                from: row + x * width / newWidth * channels, count: channels)
            }
          }
        }
      }
    }
    return result
  }
}
