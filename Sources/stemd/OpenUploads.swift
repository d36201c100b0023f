import Foundation
import JobQueue
import Messaging

/// Clips that come in chunk by chunk.
struct OpenUploads {
  /// Without a chunk for this long, an upload is forgotten.
  static let patience = Duration.seconds(60)
  /// Bytes that a client may send ahead of what it was told has arrived.
  private static let window = 4 << 20

  struct Upload {
    let clip: ClipUpload
    let request: SubmitRequest
    let client: String
    var touched: ContinuousClock.Instant
  }

  private var uploads: [String: Upload] = [:]

  /// Clips that are being copied from a folder of this machine.
  private var copies: [String: ClipUpload] = [:]

  var count: Int { uploads.count + copies.count }

  /// Bytes that are still to come.
  var expected: Int {
    uploads.values.reduce(0) { $0 + $1.clip.missing } + copies.values.reduce(0) { $0 + $1.size }
  }

  mutating func beganCopy(_ clip: ClipUpload, named name: String) { copies[name] = clip }
  mutating func endedCopy(named name: String) { copies[name] = nil }

  /// - Throws: `Refusal` where as many are open as may be.
  func checkRoom(_ limit: Int) throws {
    guard count < limit else {
      throw Refusal(
        .limit, "\(count) uploads are open, which is the limit 'uploads': ask again later",
        limit: "uploads")
    }
  }

  static func newName() -> String {
    String((0..<16).map { _ in "0123456789abcdefghijklmnopqrstuvwxyz".randomElement() ?? "0" })
  }

  static func credit(received: Int, of size: Int) -> Int { min(window, size - received) }

  mutating func add(
    _ clip: ClipUpload, named name: String, _ request: SubmitRequest, of client: String,
    now: ContinuousClock.Instant
  ) {
    uploads[name] = Upload(clip: clip, request: request, client: client, touched: now)
  }

  /// - Throws: `Refusal` where this client has no such upload.
  func upload(_ name: String, of client: String) throws -> Upload {
    guard let upload = uploads[name], upload.client == client else {
      throw Refusal(
        .notFound,
        "there is no upload '\(displayName(String(name.prefix(40))))': it ended, or was forgotten; begin again with submit"
      )
    }
    return upload
  }

  mutating func touch(_ name: String, now: ContinuousClock.Instant) {
    uploads[name]?.touched = now
  }

  mutating func remove(_ name: String, of client: String) throws {
    _ = try upload(name, of: client)
    uploads[name] = nil
  }

  mutating func removeIdle(now: ContinuousClock.Instant) {
    uploads = uploads.filter { now - $0.value.touched < Self.patience }
  }
}
