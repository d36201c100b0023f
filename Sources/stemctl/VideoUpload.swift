import Foundation
import JobQueue
import Messaging

/// Hands a video over to a daemon that does not see it, chunk by chunk.
struct VideoUpload {
  private static let chunk = 512 << 10

  let path: String

  /// - Parameter request: The submission, for a video of so many bytes.
  /// - Throws: `CommandFailure`
  func send(with client: ControlClient, request: (Int) -> SubmitRequest) throws -> Job {
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw CommandFailure.system("\(path) cannot be read")
    }
    let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw CommandFailure("\(path) is not a regular file: name one video.")
    }
    let size = Int(status.st_size)
    guard size > 0 else { throw CommandFailure("\(path) is empty: name a video.") }
    var reply = try client.accepted(.submit(request(size)))
    while true {
      switch reply {
      case .job(let job, _): return job
      case .upload(let upload, let received, _), .credit(let upload, let received, _):
        try file.seek(toOffset: UInt64(received))
        guard let part = try file.read(upToCount: min(Self.chunk, size - received)), !part.isEmpty
        else { throw CommandFailure("\(path) became shorter meanwhile: submit it again.") }
        reply = try client.accepted(.chunk(upload: upload, offset: received), body: part)
      default: throw CommandFailure.unexpectedAnswer
      }
    }
  }
}
