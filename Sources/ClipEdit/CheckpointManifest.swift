import EditSettings
import Foundation
import Tensor

/// What a checkpoint is of and which parts it has. It counts from when it is on the disk; its parts
/// are there before.
struct CheckpointManifest: Codable {
  static let fileName = "manifest.json"
  static let currentFormat = 1

  /// An immutable file beside the manifest.
  struct Part: Codable, Equatable {
    var name: String
    var bytes: Int
    /// In hexadecimal digits.
    var sha256: String
    /// The series of which it holds states.
    var series: [String]

    /// Small letters, digits and hyphens: no name leads out of the folder, none is hidden.
    static func isName(_ name: String) -> Bool {
      let suffix = ".safetensors"
      guard name.hasSuffix(suffix), name.utf8.count <= 200 else { return false }
      let stem = name.dropLast(suffix.count).utf8
      return !stem.isEmpty
        && stem.allSatisfy {
          (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "-")
        }
    }
  }

  var format = currentFormat
  var fingerprint: [String: String]
  /// Threads that computed it, and are to go on.
  var threads: Int
  /// The kinds of processor and libraries that computed it (`ComputeIdentity`), in their order.
  var compute: [String]
  /// Where the edit stood.
  var progress: EditProgress
  /// Wall-clock seconds by stage, over all attempts.
  var seconds: [String: Double]
  var inversionReused: Bool
  var parts: [Part]

  enum CodingKeys: String, CodingKey {
    case format, fingerprint, threads, compute, progress, seconds, parts
    case inversionReused = "inversion_reused"
  }

  var data: Data {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      return try encoder.encode(self)
    }
  }

  /// - Throws: `CheckpointProblem`; nothing in what is returned can do harm.
  init(_ data: Data) throws {
    struct Format: Decodable { var format: Int }
    guard let format = try? JSONDecoder().decode(Format.self, from: data).format else {
      throw CheckpointProblem("its \(Self.fileName) is not one")
    }
    guard format == Self.currentFormat else {
      throw CheckpointProblem("it has format \(format), not \(Self.currentFormat)")
    }
    guard let manifest = try? JSONDecoder().decode(Self.self, from: data) else {
      throw CheckpointProblem("its \(Self.fileName) is not complete")
    }
    self = manifest
    let stages = Set(EditProgress.Stage.allCases.map(\.rawValue))
    guard (1...Parallel.mostThreads).contains(threads), compute.count <= 1000,
      seconds.allSatisfy({ stages.contains($0.key) && (0...1e9).contains($0.value) })
    else { throw CheckpointProblem("its \(Self.fileName) holds numbers that cannot be") }
    guard parts.allSatisfy({ Part.isName($0.name) && $0.bytes > 0 }) else {
      throw CheckpointProblem("its \(Self.fileName) names a part that cannot be")
    }
    guard Set(parts.map(\.name)).count == parts.count else {
      throw CheckpointProblem("its \(Self.fileName) names a part twice")
    }
  }

  init(
    fingerprint: [String: String], threads: Int, compute: [String], progress: EditProgress,
    seconds: [String: Double], inversionReused: Bool, parts: [Part]
  ) {
    self.fingerprint = fingerprint
    self.threads = threads
    self.compute = compute
    self.progress = progress
    self.seconds = seconds
    self.inversionReused = inversionReused
    self.parts = parts
  }
}

/// Why a checkpoint cannot be gone on from; continues "the checkpoint cannot be used: ".
struct CheckpointProblem: Error {
  let reason: String
  init(_ reason: String) { self.reason = reason }
}
