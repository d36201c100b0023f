import Foundation
import Tensor
import VideoFile

extension VideoProcess {
  /// Encodes a clip into an mp4 or a picture, written aside, synced, renamed: whoever looks sees the
  /// old file or the whole new one.
  ///
  /// - Parameter note: told in a sentence what became of its sound, where it is not all there.
  /// - Throws: `ClipEditError`, `VideoFileError`.
  func deliver(
    _ clip: some Movie, to output: String, options: EncodingOptions = EncodingOptions(),
    note: (String) -> Void = { _ in }
  ) throws {
    let target = URL(fileURLWithPath: output)
    let aside = target.deletingLastPathComponent().appending(
      path: ".\(target.lastPathComponent).\(getpid()).part"
    ).path(percentEncoded: false)
    unlink(aside)
    try encode(clip, to: aside, options: options, isCancelled: Self.goesOn).forEach(note)
    func check(_ status: Int32) throws {
      guard status == 0 else {
        let code = errno
        unlink(aside)
        throw ClipEditError(
          "\(output) cannot be written: \(String(cString: strerror(code)))",
          mayPass: code == ENOSPC || code == EDQUOT)
      }
    }
    let descriptor = open(aside, O_RDONLY | O_CLOEXEC)
    defer { close(descriptor) }
    try check(descriptor < 0 ? -1 : fsync(descriptor))
    try check(rename(aside, target.path(percentEncoded: false)))
    let folder = open(
      target.deletingLastPathComponent().path(percentEncoded: false),
      O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    defer { close(folder) }
    try check(folder < 0 ? -1 : fsync(folder))
  }

  /// Asked while a decoder or encoder is waited for, which has its own patience.
  @Sendable static func goesOn() -> Bool {
    Activity.note()
    return false
  }
}
