/// A clip's frames, by as many as the UNet takes at once.
///
/// - Parameter size: frames to a group; the last may be shorter.
func frameGroups(of frames: Int, size: Int) -> [Range<Int>] {
  stride(from: 0, to: frames, by: size).map { $0..<min(frames, $0 + size) }
}
